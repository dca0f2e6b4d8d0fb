"""Weights in three foreign layouts."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from weight_files import MAGIC_LEAP, WRAPPINGS, State, random_state

from cv2_superpoint import SuperPoint_create
from cv2_superpoint.model import weights as checkpoint

pytestmark = pytest.mark.filterwarnings(
    "ignore:Detected pickle protocol", "ignore:Initializing zero-element"
)


TRANSFORMERS = [
    f"encoder.conv_blocks.{stage}.conv_{half}" for stage in range(4) for half in "ab"
] + [
    "keypoint_decoder.conv_score_a",
    "keypoint_decoder.conv_score_b",
    "descriptor_decoder.conv_descriptor_a",
    "descriptor_decoder.conv_descriptor_b",
]


RPAUTRAT = [f"backbone.{stage}.{half}" for stage in range(4) for half in range(2)] + [
    "detector.0",
    "detector.1",
    "descriptor.0",
    "descriptor.1",
]


def plain_forward(
    state: State, names: list[str], norm: bool, image: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The network as those keys' own code runs it."""

    def layer(x: torch.Tensor, name: str, relu: bool = True) -> torch.Tensor:
        conv = f"{name}.conv" if norm else name
        weight = state[f"{conv}.weight"]
        x = F.conv2d(x, weight, state[f"{conv}.bias"], padding=weight.shape[-1] // 2)
        if relu:
            x = x.relu()
        if norm:
            mean, var = state[f"{name}.bn.running_mean"], state[f"{name}.bn.running_var"]
            scale, shift = state[f"{name}.bn.weight"], state[f"{name}.bn.bias"]
            x = F.batch_norm(x, mean, var, scale, shift, training=False, eps=1e-3)
        return x

    x = image
    for i, name in enumerate(names[:8]):
        x = layer(x, name)
        if i in (1, 3, 5):
            x = F.max_pool2d(x, 2)
    logits = layer(layer(x, names[8]), names[9], relu=False)
    return logits, layer(layer(x, names[10]), names[11], relu=False)


LAYOUTS = {
    "Magic Leap": (MAGIC_LEAP, False),
    "rpautrat": (RPAUTRAT, True),
    "transformers": (TRANSFORMERS, False),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_foreign_layouts(layout, wrapping, tmp_path):
    names, norm = LAYOUTS[layout]
    state = random_state(names, norm)
    path = tmp_path / "weights"
    WRAPPINGS[wrapping](state, path)
    loaded = checkpoint.load(path)
    assert loaded.metadata == {}
    image = torch.rand(1, 1, 32, 40, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        got = loaded.network(image)
    for x, y in zip(got, plain_forward(state, names, norm, image), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-4 * float(y.abs().max()))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_foreign_weights_work_in_the_class(layout, tmp_path):
    names, norm = LAYOUTS[layout]
    path = tmp_path / "weights.pth"
    torch.save(random_state(names, norm), path)
    image = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
    feature = SuperPoint_create(20, weights=path, model="superpoint-paper", scoreThreshold=0)
    keypoints, descriptors = feature.detectAndCompute(image, None)
    assert len(keypoints) == 20
    assert descriptors.shape == (20, 256)


def test_weights_of_half_precision_become_float32(tmp_path):
    state = {key: value.half() for key, value in random_state(MAGIC_LEAP, False).items()}
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    network = checkpoint.load(path).network
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32}

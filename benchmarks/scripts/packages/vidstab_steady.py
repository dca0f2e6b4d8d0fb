"""vidstab steadies a shaky video: --features ORB,BRISK."""

import sys

import numpy as np
from vidstab import VidStab

stabiliser = VidStab(kp_method=sys.argv[1])
stabiliser.gen_transforms("shaky.avi", smoothing_window=10, show_progress=False)
path = np.array(stabiliser.trajectory)[:, :2]
print(f"{len(path)} frames, path of {np.abs(np.diff(path, axis=0)).sum():.0f} pixels")

// The visitor's camera.

/**
 * Ask for the camera and wait for its first frame.
 *
 * @returns {Promise<{video: HTMLVideoElement, stop: Function}>}
 */
export async function openCamera() {
  if (!navigator.mediaDevices) {
    throw new Error("Browsers lend the camera to pages over https, or from this very machine, only.");
  }
  const wanted = { facingMode: "environment", width: { ideal: 640 }, height: { ideal: 480 } };
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: wanted });
  } catch (error) {
    const reasons = {
      NotAllowedError: "The camera was not allowed.",
      NotFoundError: "There is no camera.",
      NotReadableError: "Another program is using the camera.",
    };
    throw new Error(reasons[error.name] ?? `The camera does not start: ${error.message}`);
  }
  const video = document.createElement("video");
  video.muted = video.playsInline = true;
  video.srcObject = stream;
  await video.play();
  return {
    video,
    stop: () => stream.getTracks().forEach((track) => track.stop()),
  };
}

// A picture or a short clip from the camera.
const LONGEST = 15_000;

export function camera(dialog, {opened, failed}) {
  const video = dialog.querySelector("video"), record = dialog.querySelector("#record");
  let stream = null, recorder = null;
  const stop = () => {
    if (recorder?.state === "recording") recorder.stop();
    stream?.getTracks().forEach(track => track.stop());
    stream = recorder = null;
    video.srcObject = null;
    record.setAttribute("aria-pressed", false);
    record.textContent = "Record clip";
  };
  dialog.addEventListener("close", stop);
  dialog.querySelector("#take").addEventListener("click", () => {
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.convertToBlob({type: "image/jpeg", quality: 0.92}).then(content => {
      dialog.close();
      opened(new File([content], "camera.jpg", {type: "image/jpeg"}));
    });
  });
  record.addEventListener("click", () => {
    if (recorder) { recorder.stop(); return; }
    const pieces = [];
    recorder = new MediaRecorder(stream, {mimeType: "video/webm"});
    recorder.addEventListener("dataavailable", event => pieces.push(event.data));
    recorder.addEventListener("stop", () => {
      dialog.close();
      opened(new File(pieces, "camera.webm", {type: "video/webm"}));
    });
    recorder.start();
    setTimeout(() => { if (recorder?.state === "recording") recorder.stop(); }, LONGEST);
    record.setAttribute("aria-pressed", true);
    record.textContent = "Stop and use";
  });
  return async () => {
    if (!navigator.mediaDevices) { failed("the browser gives the camera only to this machine's own address, or over HTTPS"); return; }
    try {
      stream = await navigator.mediaDevices.getUserMedia({video: {width: {ideal: 1280}}});
      video.srcObject = stream;
      await video.play();
      dialog.showModal();
    } catch (error) { failed(`there is no camera to use (${error.message})`); }
  };
}

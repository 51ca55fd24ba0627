// A face of our own, drawn from jaw, lids, eyes, neck and the energy of the expression.

export const MOUTH = "#7a0f2b"; // The inside of the mouth: no other part has this colour.
const WIDEST_JAW = 0.1;

export function drawFace(canvas, channels, alive) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  const unit = Math.min(width, height) / 200;
  const face = channels || { jaw: 0, lidLeft: 0, lidRight: 0, eyeX: 0, eyeY: 0, neckX: 0, neckY: 0, energy: 0 };
  const skin = alive ? "#f0c4a4" : "#b9bec5";
  const line = alive ? "#5a3726" : "#5d656f";
  context.clearRect(0, 0, width, height);
  context.save();
  context.translate(width / 2, height / 2 - 4 * unit);
  context.scale(unit, unit);
  drawNeck(context, skin, alive);
  context.translate(face.neckY * 40, (face.neckX - 0.1) * 60);
  const opening = Math.max(0, face.jaw) / WIDEST_JAW;
  drawHead(context, skin, line, opening);
  drawEye(context, -26, face, face.lidLeft, line);
  drawEye(context, 26, face, face.lidRight, line);
  drawBrows(context, face.energy, line);
  drawMouth(context, opening, face.energy, alive);
  context.restore();
}

function drawNeck(context, skin, alive) {
  context.fillStyle = skin;
  context.fillRect(-20, 55, 40, 45);
  context.fillStyle = alive ? "#2f6f9f" : "#7b848e";
  context.beginPath();
  context.ellipse(0, 108, 74, 26, 0, 0, 2 * Math.PI);
  context.fill();
}

function drawHead(context, skin, line, opening) {
  const chin = 8 * opening;
  context.fillStyle = line;
  context.beginPath();
  context.ellipse(0, -14, 66, 74, 0, 0, 2 * Math.PI);
  context.fill();
  context.fillStyle = skin;
  context.beginPath();
  context.ellipse(0, 4, 58, 70, 0, Math.PI, 2 * Math.PI);
  context.ellipse(0, 4, 58, 68 + chin, 0, 0, Math.PI);
  context.fill();
}

function drawEye(context, x, face, lid, line) {
  const open = Math.max(0.08, 1 - Math.min(1, Math.abs(lid)));
  context.fillStyle = "#fff";
  context.beginPath();
  context.ellipse(x, -10, 14, 9 * open, 0, 0, 2 * Math.PI);
  context.fill();
  context.save();
  context.clip();
  context.fillStyle = line;
  context.beginPath();
  context.arc(x + face.eyeX * 12, -10 + face.eyeY * 12, 6, 0, 2 * Math.PI);
  context.fill();
  context.restore();
}

function drawBrows(context, energy, line) {
  context.strokeStyle = line;
  context.lineWidth = 4;
  context.lineCap = "round";
  const lift = Math.min(10, energy * 8);
  for (const side of [-1, 1]) {
    context.beginPath();
    context.moveTo(side * 14, -26 - lift);
    context.quadraticCurveTo(side * 26, -32 - lift, side * 40, -25 - lift * 0.6);
    context.stroke();
  }
}

function drawMouth(context, opening, energy, alive) {
  const half = 20 + Math.min(8, energy * 6);
  const depth = 1.5 + 26 * Math.min(1.2, opening);
  context.fillStyle = MOUTH;
  context.beginPath();
  context.ellipse(0, 38 + depth / 3, half, depth, 0, 0, 2 * Math.PI);
  context.fill();
  context.strokeStyle = alive ? "#b5535a" : "#6d747c";
  context.lineWidth = 3;
  context.stroke();
}

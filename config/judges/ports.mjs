// The Observatory knows only ports 80 and 443. The proxy under judgement may have others, named "HTTP HTTPS" in
// GAD_JUDGE_PORTS: what is said to the one goes to the other. Nothing of what is said changes.
import net from "node:net";

const [http, https] = process.env.GAD_JUDGE_PORTS.split(" ").map(Number);
const ports = new Map([[80, http], [443, https]]);
const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function (...args) {
  const options = Array.isArray(args[0]) ? args[0][0] : args[0];
  if (options && typeof options === "object" && ports.has(Number(options.port))) {
    options.port = ports.get(Number(options.port));
  }
  return connect.apply(this, args);
};

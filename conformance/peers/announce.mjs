// Says on standard error where a server listens that was told to take any free port:
//   PORT=0 node --import ./announce.mjs SERVER
import { Server } from "node:net";

const listen = Server.prototype.listen;
Server.prototype.listen = function (...args) {
  this.once("listening", () => console.error(`http://127.0.0.1:${this.address().port}`));
  return listen.apply(this, args);
};

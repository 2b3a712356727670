// A page on this machine, for the server that fetches pages: /page, and /slow, which takes longer
// than anybody waits. Other addresses are not there.
import { createServer } from "node:http";

const SLOW_MS = 5_000;

export async function serveWeb() {
  const server = createServer((request, response) => {
    const page = (status, text) => response.writeHead(status, { "content-type": "text/plain" }).end(text);
    if (request.url === "/page") page(200, "A page of plain text – ü\n");
    else if (request.url === "/slow") setTimeout(page, SLOW_MS, 200, "late\n").unref();
    else page(404, "nothing here\n");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  server.unref();
  return { url: `http://127.0.0.1:${server.address().port}` };
}

import * as Http from "node:http"
import * as Https from "node:https"

/*
 * Exits with 0 when a service of this container answers /healthz with 200. The argument names another address, such as
 * https://127.0.0.1:8004/readyz. Without curl, which slim images do not have.
 */

const { GATEKEEPER_PORT: port = "8001", TLS_CERT_FILE: certificate = "" } = process.env
const url = new URL(process.argv[2] ?? `${certificate === "" ? "http" : "https"}://127.0.0.1:${port}/healthz`)
const { get } = url.protocol === "https:" ? Https : Http

// The certificate is not made out to 127.0.0.1. Nothing is sent, and the answer never leaves this container.
const request = get(url, { rejectUnauthorized: false, timeout: 4_000 }, (response) => {
  response.resume()
  if (response.statusCode !== 200) console.error(`${url} answers ${response.statusCode}`)
  process.exitCode = response.statusCode === 200 ? 0 : 1
})
request.on("timeout", () => request.destroy(new Error("no answer within 4 s")))
request.on("error", (error) => {
  console.error(`${url}: ${error.message}`)
  process.exitCode = 1
})

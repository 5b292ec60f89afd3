import type * as Http from "node:http"
import { createRequire, syncBuiltinESMExports } from "node:module"

// Imported before a program: its servers wait half a second for a request, not Node's five minutes.
const http = createRequire(import.meta.url)("node:http") as typeof Http
const { createServer } = http
Object.assign(http, {
  createServer: (options: Http.ServerOptions, listener?: Http.RequestListener) =>
    createServer({ ...options, requestTimeout: 500, connectionsCheckingInterval: 100 }, listener)
})
syncBuiltinESMExports()

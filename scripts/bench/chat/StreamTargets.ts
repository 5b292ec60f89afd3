import * as Fs from "node:fs/promises"
import { basename, join, resolve } from "node:path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { type BenchProcess, benchProcess } from "../../../test/support/BenchProcess.ts"
import { bundledProgram } from "../../../test/support/ProgramBundle.ts"
import { temporaryHome } from "../../../test/support/TemporaryHome.ts"
import { tokenOf } from "../../../test/support/Tokens.ts"
import { bundle } from "../../build/Bundle.mjs"
import { progress } from "../Progress.ts"
import { portkeyProgram } from "./PortkeyPackage.ts"
import { routerProcess } from "./RouterProcess.ts"
import type { StreamOrder } from "./StreamOrder.ts"

export type TargetName = "provider" | "pipe" | "portkey" | "router" | "earlier"

/** A server that streams chats of the one provider. */
export interface StreamTarget {
  readonly name: TargetName
  readonly title: string
  readonly process: BenchProcess
  readonly order: Pick<StreamOrder, "url" | "headers" | "body" | "expected">
}

export const chatServer = "scripts/bench/chat/ChatServer.ts"

const body = JSON.stringify({
  model: "bench",
  stream: true,
  messages: [{ role: "user", content: "which shelf?" }]
})

const expected = ["word 17 ", '"finish_reason":"stop"', "data: [DONE]"]

const orderTo = (url: string, headers: StreamOrder["headers"]): StreamTarget["order"] => ({
  url,
  headers,
  body,
  expected
})

const Started = Schema.Struct({ url: Schema.String })

const started = (program: string, words: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const process = yield* benchProcess({ program, words, environment: {} })
    const { url } = yield* process.next(Started)
    return { process, url: new URL("/v1/chat/completions", url).href }
  })

/** The provider that all others ask. */
export const startProvider = Effect.gen(function* () {
  const { process, url } = yield* started("scripts/bench/chat/StreamingProvider.ts", [])
  const target: StreamTarget = { name: "provider", title: "the provider itself", process, order: orderTo(url, {}) }
  return target
})

const startPipe = (provider: string) =>
  Effect.gen(function* () {
    const { process, url } = yield* started("scripts/bench/chat/PipeServer.ts", [provider])
    const target: StreamTarget = { name: "pipe", title: "a pipe by undici", process, order: orderTo(url, {}) }
    return target
  })

const startPortkey = (provider: string) =>
  Effect.gen(function* () {
    const { process, url } = yield* started("scripts/bench/chat/PortkeyServer.ts", [yield* portkeyProgram])
    const headers = {
      authorization: "Bearer none",
      "x-portkey-provider": "openai",
      "x-portkey-custom-host": new URL("/v1", provider).href
    }
    const target: StreamTarget = {
      name: "portkey",
      title: "@portkey-ai/gateway",
      process,
      order: orderTo(url, headers)
    }
    return target
  })

const modelsOf = (provider: string): string =>
  [
    "providers:",
    `  bench: { kind: openai-compatible, base_url: ${new URL("/v1", provider).href} }`,
    "shells:",
    "  bench: { tier: L1, provider: bench }",
    ""
  ].join("\n")

/** The file of models with the one model of the provider, in a directory that ends with the scope. */
const modelsFile = (provider: string) =>
  Effect.gen(function* () {
    const path = join(yield* temporaryHome, "models.yaml")
    yield* Effect.promise(() => Fs.writeFile(path, modelsOf(provider)))
    return path
  })

/** Another checkout's services, built as this one's. */
const bundledIn = (checkout: string) =>
  Effect.gen(function* () {
    const directory = yield* temporaryHome
    yield* Effect.promise(() => bundle(resolve(checkout), directory, [chatServer]))
    return join(directory, `${basename(chatServer, ".ts")}.mjs`)
  })

export interface RouterTargetOptions {
  readonly name: "router" | "earlier"
  readonly title: string
  readonly program: string
  readonly flags?: ReadonlyArray<string>
}

/** The router with its one model at `provider`. */
export const startRouter = (
  server: Redacted.Redacted,
  provider: string,
  { flags = [], name, program, title }: RouterTargetOptions
) =>
  Effect.gen(function* () {
    const models = yield* modelsFile(provider)
    const { process, url } = yield* routerProcess(server, { program, models, flags })
    const token = yield* Effect.promise(() => tokenOf("Librarian"))
    const target: StreamTarget = { name, title, process, order: orderTo(url, { authorization: `Bearer ${token}` }) }
    return target
  })

/** The router as it is built. */
export const startBuiltRouter = (server: Redacted.Redacted, provider: string, flags: ReadonlyArray<string> = []) =>
  Effect.flatMap(bundledProgram(chatServer), (program) =>
    startRouter(server, provider, { name: "router", title: "router, guardian and gatekeeper", program, flags })
  )

/** All targets, each in a process of its own, and why one is left out. `against` is another checkout. */
export const startTargets = (server: Redacted.Redacted, against: string | undefined) =>
  Effect.gen(function* () {
    const provider = yield* startProvider
    const { url } = provider.order
    yield* progress("starting the pipe, the gateway and the router")
    const pipe = yield* startPipe(url)
    const portkey = yield* Effect.either(startPortkey(url))
    const router = yield* startBuiltRouter(server, url)
    const targets = [provider, pipe, ...(Either.isRight(portkey) ? [portkey.right] : []), router]
    if (against !== undefined) {
      const program = yield* bundledIn(against)
      targets.push(yield* startRouter(server, url, { name: "earlier", title: `the router of ${against}`, program }))
    }
    return { targets, leftOut: Either.isLeft(portkey) ? portkey.left : null }
  })

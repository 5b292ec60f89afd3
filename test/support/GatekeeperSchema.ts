import * as Fs from "node:fs/promises"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { connect } from "../../src/platform/Connection.ts"

const directory = new URL("../../migrations/gatekeeper/", import.meta.url)

const section = (text: string, name: "up" | "down"): string =>
  new RegExp(`^-- migrate:${name}[^\\n]*\\n([^]*?)(?=^-- migrate:|$(?![^]))`, "m").exec(text)?.[1] ?? ""

const sections = (name: "up" | "down") =>
  Effect.promise(async () => {
    const files = (await Fs.readdir(directory)).filter((file) => file.endsWith(".sql")).sort()
    const texts = await Promise.all(files.map((file) => Fs.readFile(new URL(file, directory), "utf8")))
    const found = texts.map((text) => section(text, name))
    return name === "up" ? found : found.reverse()
  })

const run = (url: Redacted.Redacted, statements: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const connection = yield* connect({ url, applicationName: "gravitas test" })
    for (const statement of statements) yield* connection.query(statement)
  }).pipe(Effect.scoped)

/** Brings the gatekeeper's schema to head, without the migrator. */
export const gatekeeperUp = (url: Redacted.Redacted) =>
  Effect.flatMap(sections("up"), (up) => run(url, ["create schema if not exists gatekeeper", ...up]))

export const gatekeeperDown = (url: Redacted.Redacted) => Effect.flatMap(sections("down"), (down) => run(url, down))

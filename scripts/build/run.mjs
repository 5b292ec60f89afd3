#!/usr/bin/env node
import * as Path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

/**
 * Starts the program: builds it when its build is older than the sources, then runs the build in this same process, which
 * therefore gets the signals itself. `pnpm start`, `pnpm migrate` and the command `gravitas` are this file.
 */

// Without a listener a write that fails ends the process: a warning of Node, when the log's reader has gone or its disk is full.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})

// Before anything is loaded that an older Node does not have; src/app/NodeVersion.ts says the same where the sources are run.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    `gravitas: Gravitas needs Node 20.19 or later, and this is ${process.versions.node}: install a supported one from https://nodejs.org\n`
  )
  process.exit(1)
}
const { BuildFailed, ensureBuild } = await import("./CurrentBuild.mjs")

const file = fileURLToPath(import.meta.url)

const { hasSources, main } = await ensureBuild(Path.resolve(Path.dirname(file), "../..")).then(
  (build) => build,
  (error) => {
    if (!(error instanceof BuildFailed)) throw error
    process.stderr.write(`gravitas: ${error.message}\n`)
    process.exit(1)
  }
)
// By this path platform/ProgramLocation knows whether the sources are here and current.
process.argv[1] = hasSources ? file : main
await import(pathToFileURL(main).href)

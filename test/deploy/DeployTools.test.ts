import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import { project } from "../support/Program.ts"
import { skipBecause } from "../support/SkipBecause.ts"

/** What the tools of each kind of file say about deploy/, where they are installed. */
const checks: ReadonlyArray<readonly [what: string, command: string, ...words: ReadonlyArray<string>]> = [
  ["Prometheus accepts the rules", "promtool", "check", "rules", "deploy/alerts.yaml"],
  ["the rules fire as their cases say", "promtool", "test", "rules", "test/deploy/alert-cases.yaml"],
  [
    "systemd accepts the units",
    "systemd-analyze",
    "verify",
    "deploy/systemd/gravitas.service",
    "deploy/systemd/gravitas-migrate.service"
  ],
  ["Nix parses the flake and the package", "nix-instantiate", "--parse", "flake.nix", "deploy/nix/package.nix"]
]

describe("deploy/", () => {
  for (const [what, command, ...words] of checks) {
    it(`${what} (${command})`, (context) => {
      if (command === "systemd-analyze" && !existsSync("/usr/bin/node"))
        skipBecause(context, "the units need /usr/bin/node")
      const { error, status, stderr, stdout } = spawnSync(command, words, { cwd: project, encoding: "utf8" })
      if (error !== undefined) skipBecause(context, `${command} is not installed`)
      expect(status, `${stdout}\n${stderr}`).toBe(0)
    })
  }
})

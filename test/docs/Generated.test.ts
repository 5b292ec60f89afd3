import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { configurationPage } from "../../scripts/docs/Configuration.ts"
import { endpointsOf } from "../../scripts/docs/Endpoints.ts"
import { fillBlocks } from "../../scripts/docs/Markdown.ts"
import { metricsBelow } from "../../scripts/docs/Metrics.ts"
import { pagesOf } from "../../scripts/docs/ShellBlocks.ts"
import { variables } from "../../scripts/docs/Sources.ts"
import { project } from "../support/Program.ts"

/** The anchors that GitHub makes of a document's headings. */
const anchorsOf = (path: string): ReadonlyArray<string> =>
  [...readFileSync(join(project, path), "utf8").matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-")
  )

describe("generated documents", () => {
  it.effect("have every setting that the program reads, with its default", () =>
    Effect.gen(function* () {
      const names = variables.map(({ name }) => name)
      expect(names).toContain("GATEKEEPER_MIGRATION_DATABASE_URL")
      expect(names).toContain("OTEL_METRIC_EXPORT_INTERVAL")
      // test/app/AllSettings.test.ts proves that each of these is what an unset variable means.
      expect(variables.filter((one) => one.default !== null).length).toBeGreaterThan(30)
      const page = yield* configurationPage
      for (const name of names) expect(page).toContain(`\`${name}\``)
      expect(page).toContain("| `AUDIT_JOURNAL_MAX_BYTES` | `4GiB` |")
    })
  )

  it("know the statuses of an endpoint with the codes of each", () => {
    const endpoints = new Map(endpointsOf("guardian").map((one) => [`${one.method} ${one.path}`, one]))
    const start = endpoints.get("POST /session/start")
    expect(start?.input).toBe("`{agent, session_id, metadata?}`")
    expect(start?.statuses.get("403")).toEqual(["access_denied", "not_certified"])
    expect(start?.statuses.get("409")).toEqual(["session_exists"])
    expect(endpoints.get("GET /healthz")?.statuses.has("401")).toBe(false)
  })

  it("name metrics as Prometheus does: a counter that only grows ends in _total", () => {
    const kinds = new Map(metricsBelow(join(project, "src")).map(({ kind, name }) => [name, kind]))
    expect(kinds.get("http_server_requests_total")).toBe("counter")
    expect(kinds.get("router_requests")).toBe("gauge")
    expect(kinds.get("audit_events_offered")).toBe("gauge")
  })

  it("replace what is between the marks, and refuse an unknown name or a block without an end", () => {
    const blocks = new Map([["a", () => ["new"]]])
    const text = "x\n<!-- generated: a -->\nold\n<!-- end -->\ny"
    expect(fillBlocks("x.md", text, blocks)).toBe("x\n<!-- generated: a -->\nnew\n<!-- end -->\ny")
    expect(() => fillBlocks("x.md", "<!-- generated: b -->\n<!-- end -->", blocks)).toThrow("x.md")
    expect(() => fillBlocks("x.md", "<!-- generated: a -->\nold", blocks)).toThrow("has no")
  })

  it("lead with every link to a file, and with every anchor to a heading of it", () => {
    for (const page of pagesOf(project)) {
      const text = readFileSync(join(project, page), "utf8")
      for (const [, target = ""] of text.matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
        const [path = "", anchor] = target.split("#")
        const file = path === "" ? page : join(dirname(page), path)
        expect(existsSync(join(project, file)), `${page}: ${target}`).toBe(true)
        if (anchor !== undefined) expect(anchorsOf(file), `${page}: ${target}`).toContain(anchor)
      }
    }
  })
})

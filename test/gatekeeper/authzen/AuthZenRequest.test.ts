import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { parseExactJson } from "../../../src/domain/JsonText.ts"
import {
  maximumEvaluations,
  parseEvaluation,
  parseEvaluations
} from "../../../src/gatekeeper/authzen/AuthZenRequest.ts"

const entities = {
  subject: { type: "user", id: "alice" },
  action: { name: "read" },
  resource: { type: "record", id: "1" }
}

describe("parseEvaluations", () => {
  it("checks the defaults of its evaluations once, since a check for each could cost a hundred bodies", () => {
    let looks = 0
    const context = new Proxy(
      { time: "now" },
      {
        ownKeys: (target) => {
          looks += 1
          return Reflect.ownKeys(target)
        }
      }
    )
    const body = { ...entities, context, evaluations: Array.from({ length: maximumEvaluations }, () => ({})) }
    const { evaluations } = Either.getOrThrow(parseEvaluations(body))
    for (const one of evaluations) expect(Either.isRight(parseEvaluation(one, "Enforcer", new Map()))).toBe(true)
    expect(evaluations).toHaveLength(maximumEvaluations)
    expect(looks).toBe(1)
  })

  it("names a resource by a number as it was written, so that no two owners have one path", () => {
    const paths = ["9007199254740993", "9007199254740992", "7", "1.50"].map((owner) => {
      const body = parseExactJson(
        `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},
          "resource":{"type":"todo","id":"1","properties":{"ownerID":${owner}}}}`
      )
      const parsed = Either.getOrThrow(parseEvaluation(body, "Enforcer", new Map([["todo", ["ownerID"]]])))
      return parsed.access.resource
    })
    expect(paths).toEqual(["todo/9007199254740993/1", "todo/9007199254740992/1", "todo/7/1", "todo/1.5/1"])
  })

  it("refuses a body that is nested too deeply, with one evaluation or several", () => {
    const deep: unknown = JSON.parse(`${'{"a":'.repeat(40)}{}${"}".repeat(40)}`)
    for (const body of [
      { ...entities, context: deep },
      { ...entities, evaluations: [{ context: deep }] }
    ]) {
      expect(parseEvaluations(body)).toEqual(Either.left("the request is nested deeper than 32 levels"))
    }
  })
})

const parsed = (evaluation: unknown) => parseEvaluation(evaluation, "Enforcer", new Map())

describe("parseEvaluation", () => {
  it("reads null for the context and for properties as absent", () => {
    const { action, resource, subject } = entities
    const properties = null
    expect(
      parsed({
        subject: { ...subject, properties },
        action: { ...action, properties },
        resource: { ...resource, properties },
        context: null
      })
    ).toEqual(parsed(entities))
    expect(Either.isLeft(parsed({ ...entities, subject: null }))).toBe(true)
  })

  it.each([
    [{ resource: { type: "vaults", id: "a/%2e%2e/b" } }, '"resource" must not hold "%"'],
    [{ resource: { type: "vaults", id: "*" } }, '"resource" must not hold "*"'],
    [{ resource: { type: "vaults ", id: "a" } }, '"resource" must not have a segment that begins or ends with a blank'],
    [{ action: { name: "*" } }, '"action" must not hold "*"'],
    [{ action: { name: "read\u200b" } }, '"action" must not hold format characters'],
    [{ subject: { type: "user", id: "alice " } }, '"ghost_id" must not begin or end with a blank']
  ])("refuses %o, which an enforcement point may read as another text", (changed, problem) => {
    expect(Either.getOrThrow(Either.flip(parsed({ ...entities, ...changed })))).toContain(problem)
  })
})

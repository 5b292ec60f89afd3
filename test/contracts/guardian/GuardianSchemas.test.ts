import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { encodeCursor } from "../../../src/contracts/Fields.ts"
import {
  AgentName,
  BadgeName,
  CertificatesQuery,
  EndSession,
  IssueCertificate,
  RevokeCertificate,
  SessionId,
  SessionsQuery,
  StartSession
} from "../../../src/contracts/guardian/GuardianSchemas.ts"

/** The problems of a value that are worded, each with the field's path; empty where it is accepted. */
const problemsOf = <A, I>(schema: Schema.Schema<A, I>, value: unknown): ReadonlyArray<string> =>
  Either.match(Schema.decodeUnknownEither(schema, { errors: "all", onExcessProperty: "error" })(value), {
    onLeft: (error) =>
      ParseResult.ArrayFormatter.formatErrorSync(error)
        .filter(({ message }) => !message.startsWith("Expected "))
        .map(({ message, path }) => [...path, message].join(" ")),
    onRight: () => []
  })

describe("The names of the guardian's contract", () => {
  it("are one segment of a resource, and nothing that leads out of it", () => {
    for (const bad of ["", "a/b", ".", "..", "a.", " a", "*", "a\u0000", "\ud800", "x".repeat(201), 7, null]) {
      expect([bad, problemsOf(AgentName, bad).length]).toEqual([bad, 1])
    }
    for (const good of ["Librarian", "dan_flory", "ä ö", "a.b"]) expect(problemsOf(AgentName, good)).toEqual([])
    expect(problemsOf(BadgeName, "x".repeat(101))).toEqual(["has 101 characters; at most 100 are allowed"])
  })

  it("of a new certificate are such that a token can have them", () => {
    expect(problemsOf(IssueCertificate, { agent: "x".repeat(100) })).toEqual([])
    expect(problemsOf(IssueCertificate, { agent: "x".repeat(101) })).toEqual([
      "agent has 101 characters; at most 100 are allowed"
    ])
  })

  it("of sessions may have segments of their own, but none that lead out", () => {
    expect(problemsOf(SessionId, "2026/01/a")).toEqual([])
    expect(problemsOf(SessionId, "2026/a?b")).toHaveLength(1)
    expect(problemsOf(SessionId, "2026/../a")).toEqual(['must not have the segments "." or ".."'])
  })
})

describe("The bodies of the guardian's contract", () => {
  it("are sent by a client although the guardian will refuse them: it answers and records them", () => {
    const agent = "team/a"
    const session = { session_id: "../s", output_file: "\u0000" }
    expect(Schema.encodeSync(AgentName)(agent)).toBe(agent)
    expect(Schema.encodeSync(StartSession)({ agent, session_id: ".." })).toEqual({ agent, session_id: ".." })
    expect(Schema.encodeSync(EndSession)(session)).toEqual(session)
  })

  it("say all that is wrong at once, in words of their own", () => {
    expect(problemsOf(StartSession, {})).toEqual(["agent is missing", "session_id is missing"])
    expect(problemsOf(StartSession, { agent: 1, session_id: "s", metadata: [] })).toEqual([
      "agent must be a text",
      "metadata must be an object"
    ])
    expect(problemsOf(IssueCertificate, { agent: "a", version: 1.5, valid_for: [], expires_at: 1 })).toEqual([
      "valid_for must be a duration such as 90d or 24h, or a number of seconds",
      "expires_at must be an RFC 3339 time with a zone, such as 2026-01-31T12:00:00Z",
      "version must be a whole number from 1"
    ])
    expect(problemsOf(IssueCertificate, { agent: "a", valid_for: "1d", expires_at: "2030-01-01T00:00:00Z" })).toEqual([
      'give either "valid_for" or "expires_at", not both'
    ])
  })

  it("accept null for what may be left out, as clients with optional fields send it", () => {
    expect(problemsOf(EndSession, { session_id: "s", output_file: null })).toEqual([])
    expect(problemsOf(RevokeCertificate, { reason: null })).toEqual([])
    expect(Schema.decodeUnknownSync(IssueCertificate)({ agent: "a", version: null })).toEqual({ agent: "a" })
    expect(problemsOf(EndSession, { session_id: "s", output_file: "\u0000" })).toContain(
      "output_file must not hold NUL or half a surrogate pair"
    )
  })
})

describe("The queries of the guardian's contract", () => {
  it("are decoded to what the repositories read", () => {
    expect(
      Schema.decodeUnknownSync(SessionsQuery)({ agent: "a", active: "true", limit: "5", cursor: encodeCursor("17") })
    ).toEqual({ agent: "a", active: true, limit: 5, cursor: "17" })
    expect(Schema.decodeUnknownSync(CertificatesQuery)({})).toEqual({ limit: 1_000 })
  })

  it("refuse an unknown or repeated parameter and a cursor of another list", () => {
    for (const bad of [
      { agnet: "a" },
      { agent: ["a", "b"] },
      { active: "yes" },
      { limit: "0" },
      { limit: "1001" },
      { limit: "1e2" },
      { cursor: "x" },
      { cursor: encodeCursor("1; drop table x") },
      { agent: "" }
    ]) {
      expect([bad, problemsOf(SessionsQuery, bad).length]).toEqual([bad, 1])
    }
    expect(problemsOf(SessionsQuery, { agent: ["a", "b"] })).toEqual(["agent is given more than once"])
  })
})

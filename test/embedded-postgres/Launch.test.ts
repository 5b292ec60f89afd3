import { describe, expect, it } from "@effect/vitest"
import { reasonOf } from "../../src/embedded-postgres/Launch.ts"

describe("reasonOf", () => {
  it.each([
    ['LOG:  could not bind IPv4 address "127.0.0.1": Address already in use', "port"],
    ["FATAL:  could not create any TCP/IP sockets", "port"],
    ["FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use", "predecessor"],
    ['FATAL:  lock file "postmaster.pid" already exists', "predecessor"],
    ['FATAL:  lock file "postmaster.pid" is empty', "predecessor"],
    ['FATAL:  data directory "/srv/data" has invalid permissions', "final"],
    ["", "final"]
  ] as const)("%j: %s", (line, reason) => {
    expect(reasonOf(["LOG:  starting PostgreSQL 18.4", line])).toBe(reason)
  })
})

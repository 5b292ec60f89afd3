import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import { canonicalInstant, parseInstant } from "../../src/domain/Rfc3339.ts"

const millis = (text: string) => Option.getOrUndefined(Option.map(parseInstant(text), ({ epochMillis }) => epochMillis))

describe("An RFC 3339 time", () => {
  it.each([
    ["1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.520Z"],
    ["1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57.000Z"],
    ["1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.870Z"],
    ["2026-01-31t12:00:00z", "2026-01-31T12:00:00.000Z"],
    ["2026-01-31T12:00:00-00:00", "2026-01-31T12:00:00.000Z"],
    ["2026-01-31T12:00:00.123456789123Z", "2026-01-31T12:00:00.123Z"],
    ["2024-02-29T00:00:00+23:59", "2024-02-28T00:01:00.000Z"],
    ["0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"],
    ["0050-06-01T00:00:00Z", "0050-06-01T00:00:00.000Z"],
    ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"],
    // Section 5.8: leap seconds. POSIX time has none, so it is the second after.
    ["1990-12-31T23:59:60Z", "1991-01-01T00:00:00.000Z"],
    ["1990-12-31T15:59:60-08:00", "1991-01-01T00:00:00.000Z"],
    ["2016-12-31t23:59:60.5z", "2017-01-01T00:00:00.500Z"]
  ])("is read: %s", (text, instant) => {
    expect(Option.map(parseInstant(text), DateTime.formatIso)).toEqual(Option.some(instant))
  })

  it.each([
    "2026-01-31T12:00Z",
    "2026-01-31T12Z",
    "2026-01-31 12:00:00Z",
    "2026-01-31T12:00:00",
    "2026-01-31T12:00:00+0100",
    "2026-01-31T12:00:00+01",
    "2026-01-31T12:00:00+24:00",
    "2026-01-31T12:00:00+01:60",
    "2026-01-31T12:00:00,5Z",
    "2026-01-31T12:00:00.Z",
    "2026-01-31T24:00:00Z",
    "2026-01-31T12:60:00Z",
    "2026-01-31T12:00:61Z",
    "2026-01-31T12:00:60Z",
    "2016-12-30T23:59:60Z",
    "2016-12-31T23:59:60+01:00",
    "2026-02-29T12:00:00Z",
    "2026-02-30T12:00:00Z",
    "2026-00-10T12:00:00Z",
    "2026-13-10T12:00:00Z",
    "2026-01-00T12:00:00Z",
    "26-01-31T12:00:00Z",
    "+002026-01-31T12:00:00Z",
    "-0001-01-31T12:00:00Z",
    "2026-031T12:00:00Z",
    "2026-W05-6T12:00:00Z",
    "20260131T120000Z",
    "2026-01-31T12:00:00Z ",
    " 2026-01-31T12:00:00Z",
    "2026-01-31T12:00:00Z\n",
    "２026-01-31T12:00:00Z",
    "1769860800",
    ""
  ])("is refused: %j", (text) => {
    expect([millis(text), canonicalInstant(text)]).toEqual([undefined, undefined])
  })

  it("is the same moment in every spelling, to the last digit", () => {
    const same = ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000z", "2026-01-31T13:00:00+01:00"]
    expect(new Set(same.map(canonicalInstant))).toEqual(new Set(["2026-01-31T12:00:00Z"]))
    expect(canonicalInstant("1990-12-31t15:59:60.50-08:00")).toBe("1990-12-31T23:59:60.5Z")
    const others = [
      ...same.slice(0, 1),
      "2026-01-31T12:00:00.0000000001Z",
      "2017-01-01T00:00:00Z",
      "2016-12-31T23:59:60Z"
    ]
    expect(new Set(others.map(canonicalInstant)).size).toBe(4)
  })
})

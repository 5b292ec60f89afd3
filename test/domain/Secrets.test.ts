import { describe, expect, it } from "@effect/vitest"
import { isSecretName, maskQuery, maskText } from "../../src/domain/Secrets.ts"

it("Masking reads a long text once, whatever it holds: no run of letters is tried from each of its letters", () => {
  // Twice the length takes twice the steps; it took four times as many, which here is minutes.
  const long = "a".repeat(400_000)
  expect(maskText(`=${long}`)).toBe(`=${long}`)
  expect(maskQuery(`${long};${long}`)).toBe(`${long};${long}`)
})

describe("The name of a secret", () => {
  it("is known in every case, with every separator, and as the end of a longer name", () => {
    const names = [
      "password",
      "PASS-WORD",
      "db.password",
      "access_token",
      "accessToken",
      "id token",
      "x-api-key",
      "apikey2"
    ]
    for (const name of [
      ...names,
      "client_secret",
      "Proxy-Authorization",
      "set-cookie",
      "X-Amz-Signature",
      "PWD",
      "auth"
    ])
      expect([name, isSecretName(name)]).toEqual([name, true])
  })

  it("is not a word that only looks like one", () => {
    for (const name of [
      "monkey",
      "author",
      "pinned",
      "prompt_tokens",
      "max_tokens",
      "key",
      "key_id",
      "secretary",
      "model",
      ""
    ])
      expect([name, isSecretName(name)]).toEqual([name, false])
  })

  it("is answered the same again, after many others", () => {
    expect(isSecretName("token")).toBe(true)
    for (let index = 0; index < 3_000; index++) isSecretName(`name-${"x".repeat(index % 99)}${index}`)
    expect([isSecretName("token"), isSecretName("model")]).toEqual([true, false])
  })
})

describe("A query", () => {
  it.each([
    ["access_token=abc&limit=1", "access_token=[masked]&limit=1"],
    ["limit=1;api-key=abc", "limit=1;api-key=[masked]"],
    ["access%5Ftoken=abc", "access%5Ftoken=[masked]"],
    ["token%5B%5D=a&token[]=b", "token%5B%5D=[masked]&token[]=[masked]"],
    ["%zz_token=a", "%zz_token=[masked]"],
    ["password=a=b==&x=y", "password=[masked]&x=y"],
    ["password=", "password=[masked]"],
    ["ghost_id=token&flag", "ghost_id=token&flag"],
    ["", ""]
  ])("%s is recorded as %s", (given, masked) => {
    expect(maskQuery(given)).toBe(masked)
  })
})

describe("A text", () => {
  it.each([
    ["https://a.example/x?access_token=abc&page=2#top", "https://a.example/x?access_token=[masked]&page=2#top"],
    ["GET /files?id=7;api%5Fkey=k-1 failed", "GET /files?id=7;api%5Fkey=[masked] failed"],
    ['refused: "password=hunter2", retry=3', 'refused: "password=[masked]", retry=3'],
    ["sent Bearer eyJhbGciOi.eyJzdWIi.c2ln== to a", "sent Bearer [masked] to a"],
    ["BEARER abcdefghijklmnop1", "BEARER [masked]"]
  ])("has its secrets masked: %s", (text, shown) => {
    expect(maskText(text)).toBe(shown)
    expect(maskText(shown)).toBe(shown)
  })

  it.each([
    "vaults/a=b",
    "the bearer token is not valid",
    "policy 94ca45db177e: group admin may * on *",
    "a == b",
    "token="
  ])("without a secret stays as it is: %s", (text) => expect(maskText(text)).toBe(text))
})

import { describe, expect, it } from "@effect/vitest"
import { envLines, keyVariables, unknownSettings } from "../../src/app/UnknownSettings.ts"

const known = new Set([
  "DATABASE_URL",
  "AUDIT_DURABILITY",
  "GATEKEEPER_PORT",
  "GATEKEEPER_URL",
  "GRAVITAS_HOME",
  "HOST",
  "TLS_CERT_FILE"
])

describe("A .env file", () => {
  it("is read line by line, with comments, quotes over several lines and both ways to assign", () => {
    const text = [
      "# comment",
      "",
      "A=1",
      "export B = 2",
      'C="first',
      "D=not an assignment",
      'last"',
      "E: 5",
      "just words",
      "F='one line'"
    ].join("\r\n")
    expect(envLines(text)).toEqual([
      { line: 3, name: "A" },
      { line: 4, name: "B" },
      { line: 5, name: "C" },
      { line: 8, name: "E" },
      { line: 9, name: undefined },
      { line: 10, name: "F" }
    ])
  })

  it("names each variable that is not a setting, with the setting that it nearly is, and no value", () => {
    const lines = envLines(
      "AUDIT_DURABILTY=commit\nDATABSE_URL=postgres://a:secret@b/c\nHOST=::1\nMY_COLOUR=red\nnonsense\nZm9vYmFyYmF6cXV4==\n"
    )
    expect(unknownSettings({ environment: [], lines, known })).toEqual([
      ".env, line 1: AUDIT_DURABILTY is not a setting and is ignored; did you mean AUDIT_DURABILITY?",
      ".env, line 2: DATABSE_URL is not a setting and is ignored; did you mean DATABASE_URL?",
      ".env, line 4: MY_COLOUR is not a setting and is ignored",
      ".env, line 5: it is not an assignment (NAME=value) and is ignored",
      ".env, line 6: what it assigns to is not the name of a setting, and is ignored"
    ])
  })
})

describe("The environment", () => {
  it("is searched for names that nearly are settings, and for our own; other programs' are left alone", () => {
    const environment = [
      "GATEKEEPR_PORT",
      "GRAVITAS_COLOUR",
      "HOME",
      "PATH",
      "HOSTNAME",
      "COLORTERM",
      "DATABASE_URL",
      "PGHOST",
      "SSL_CERT_FILE"
    ]
    expect(unknownSettings({ environment, lines: [], known })).toEqual([
      "environment: GATEKEEPR_PORT is not a setting and is ignored; did you mean GATEKEEPER_PORT?",
      "environment: GRAVITAS_COLOUR is not a setting and is ignored"
    ])
  })

  it("of a pod has the names of Kubernetes' services, which are left alone", () => {
    const environment = [
      "GATEKEEPER_SERVICE_HOST",
      "GATEKEEPER_PORT_8001_TCP",
      "GATEKEEPER_PORT_8001_TCP_ADDR",
      "GUARDIAN_PORT"
    ]
    expect(unknownSettings({ environment, lines: [], known })).toEqual([])
  })
})

it("The variables of providers' keys are those that models.yaml names", () => {
  expect(
    keyVariables("providers:\n  a: { api_key_env: OPENAI_API_KEY }\n  b:\n    api_key_env: 'OTHER_KEY'\n")
  ).toEqual(["OPENAI_API_KEY", "OTHER_KEY"])
})

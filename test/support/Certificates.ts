import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto"

/** The DER encoding of a value: tag, length, content. */
const der = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...parts: ReadonlyArray<Uint8Array>) => der(0x30, ...parts)
const oid = (hex: string) => der(0x06, Buffer.from(hex, "hex"))
const text = (value: string) => der(0x0c, Buffer.from(value))
const utcTime = (date: Date) => der(0x17, Buffer.from(`${date.toISOString().replace(/[-:T]/g, "").slice(2, 14)}Z`))

const ed25519 = sequence(oid("2b6570"))
const nameOf = (commonName: string) => sequence(der(0x31, sequence(oid("550403"), text(commonName))))
const extension = (id: string, value: Uint8Array) => sequence(oid(id), der(0x01, Buffer.from([0xff])), der(0x04, value))

interface Issuer {
  readonly name: string
  readonly key: KeyObject
}

/** A certificate of X.509 in PEM, and its private key: made here, so that no key of a test is kept in the repository. */
export interface TestCertificate extends Issuer {
  readonly cert: string
  readonly keyPem: string
}

const pem = (bytes: Uint8Array) =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(bytes)
    .toString("base64")
    .replace(/(.{64})/g, "$1\n")}\n-----END CERTIFICATE-----\n`

const certificate = (name: string, issuer: Issuer | undefined): TestCertificate => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519")
  const day = 86_400_000
  const isCa = issuer === undefined
  const extensions = isCa
    ? [extension("551d13", sequence(der(0x01, Buffer.from([0xff]))))]
    : [extension("551d11", sequence(der(0x82, Buffer.from("localhost")), der(0x87, Buffer.from([127, 0, 0, 1]))))]
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ed25519,
    nameOf(issuer?.name ?? name),
    sequence(utcTime(new Date(Date.now() - day)), utcTime(new Date(Date.now() + day))),
    nameOf(name),
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(...extensions))
  )
  const signature = sign(null, body, issuer?.key ?? privateKey)
  return {
    name,
    key: privateKey,
    cert: pem(sequence(body, ed25519, der(0x03, Buffer.from([0]), signature))),
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString()
  }
}

export const testCa = (name: string): TestCertificate => certificate(name, undefined)

/** For 127.0.0.1 and localhost, as a server and as a client. */
export const certificateOf = (name: string, ca: TestCertificate): TestCertificate => certificate(name, ca)

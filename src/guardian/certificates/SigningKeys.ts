import { createPrivateKey, createPublicKey, generateKeyPairSync, type JsonWebKey, type KeyObject } from "node:crypto"
import { readdirSync } from "node:fs"
import * as Path from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { calculateJwkThumbprint } from "jose"
import type { PublicJwk } from "../../contracts/guardian/GuardianSchemas.ts"
import { Settings } from "../../platform/config/Settings.ts"
import { isMissing, reasonOf } from "../../platform/os/FileTrust.ts"
import * as PrivateFile from "../../platform/os/PrivateFile.ts"
import { GuardianSettings } from "../GuardianSettings.ts"

interface VerificationKey {
  /** The key's own thumbprint (RFC 7638), so that no two keys can share an id. */
  readonly id: string
  readonly key: KeyObject
  readonly jwk: PublicJwk
}

/** Quotes nothing of the text, which is secret. */
const unreadableKey = "it is not an Ed25519 key in PEM or as a JWK"

const isObject = (value: unknown): value is JsonWebKey => typeof value === "object" && value !== null

const read = (text: string): KeyObject => {
  const pem = text.trim().replaceAll("\\n", "\n")
  if (!pem.startsWith("{")) return pem.includes("PRIVATE KEY") ? createPrivateKey(pem) : createPublicKey(pem)
  const jwk: unknown = JSON.parse(text)
  if (!isObject(jwk)) throw new Error(unreadableKey)
  return jwk.d === undefined
    ? createPublicKey({ key: jwk, format: "jwk" })
    : createPrivateKey({ key: jwk, format: "jwk" })
}

/** A private or public Ed25519 key from PEM (PKCS #8, SPKI) or a JWK. */
export const readKey = (text: string): Either.Either<KeyObject, string> =>
  Either.try({ try: () => read(text), catch: () => unreadableKey }).pipe(
    Either.filterOrLeft(
      (key) => key.asymmetricKeyType === "ed25519",
      () => unreadableKey
    )
  )

const verificationKey = (key: KeyObject): Effect.Effect<VerificationKey> =>
  Effect.promise(async () => {
    const publicKey = key.type === "private" ? createPublicKey(key) : key
    const { x = "" } = publicKey.export({ format: "jwk" })
    const id = await calculateJwkThumbprint({ kty: "OKP", crv: "Ed25519", x })
    return { id, key: publicKey, jwk: { kty: "OKP", crv: "Ed25519", x, kid: id, alg: "EdDSA", use: "sig" } }
  })

/** A key under `GRAVITAS_HOME` cannot be read or made, or is not an Ed25519 key. */
class KeyFileUnusable extends Schema.TaggedError<KeyFileUnusable>()("KeyFileUnusable", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return (
      `the signing key ${this.file} cannot be used: ${this.problem}. Fix it, or move it away (certificates signed with it stop ` +
      "to be valid; the guardian makes a new active.pem where it is missing), or set GUARDIAN_SIGNING_KEY."
    )
  }
}

const directoryName = "guardian-keys"

/** The file of the key that signs; every other `.pem` or `.jwk` in the directory verifies. */
const activeName = "active.pem"

/** The names of the keys in a directory; empty if there is none. */
const namesIn = (directory: string): ReadonlyArray<string> => {
  try {
    PrivateFile.requireDirectory(directory, { closed: 0o022, mode: 0o700 })
    return readdirSync(directory)
      .filter((name) => /\.(pem|jwk)$/.test(name))
      .sort()
  } catch (cause) {
    if (isMissing(cause)) return []
    throw cause
  }
}

/** Others may read a public key, and write none: with a key of theirs they could certify agents. */
const readFile = (file: string): KeyObject => {
  const key = Either.getOrThrowWith(readKey(PrivateFile.read(file, 0o022) ?? ""), (problem) => new Error(problem))
  if (key.type === "private") PrivateFile.read(file)
  return key
}

/** Reads the keys in `GRAVITAS_HOME/guardian-keys`. With `make`, a missing key that signs is made. */
const keysUnderHome = (options: { readonly make: boolean }) =>
  Effect.gen(function* () {
    const { home } = yield* Settings
    const directory = Path.resolve(home, directoryName)
    const activeFile = Path.join(directory, activeName)
    const attempt = <A>(file: string, body: () => A) =>
      Effect.try({ try: body, catch: (cause) => new KeyFileUnusable({ file, problem: reasonOf(cause) }) })

    yield* attempt(activeFile, () => {
      if (!options.make) return
      PrivateFile.ensureHome(Path.dirname(directory))
      PrivateFile.ensureDirectory(directory)
      if (PrivateFile.read(activeFile) !== undefined) return
      const { privateKey } = generateKeyPairSync("ed25519")
      PrivateFile.makeOnce(activeFile, privateKey.export({ format: "pem", type: "pkcs8" }).toString())
    })
    const keys = new Map<string, KeyObject>()
    for (const name of yield* attempt(directory, () => namesIn(directory))) {
      const file = Path.join(directory, name)
      keys.set(name, yield* attempt(file, () => readFile(file)))
    }
    const active = keys.get(activeName)
    if (options.make && active?.type !== "private") {
      return yield* new KeyFileUnusable({ file: activeFile, problem: "it does not hold a private key" })
    }
    return { active, all: [...keys.values()] }
  })

/** In production no key is generated: another instance could not verify its certificates, and the key is lost with the disk. */
class SigningKeyMissing extends Schema.TaggedError<SigningKeyMissing>()("SigningKeyMissing", {}) {
  override get message(): string {
    return (
      "GUARDIAN_SIGNING_KEY is not set, and with NODE_ENV=production no key is generated. Set it to the Ed25519 key that signs " +
      'certificates, or generate one: GUARDIAN_SIGNING_KEY="$(openssl genpkey -algorithm ed25519)"'
    )
  }
}

/** A key of the settings cannot sign or verify certificates. */
class SigningKeyUnusable extends Schema.TaggedError<SigningKeyUnusable>()("SigningKeyUnusable", {
  setting: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.setting} cannot be used: ${this.problem}. A new one: "$(openssl genpkey -algorithm ed25519)"`
  }
}

export interface Keyring {
  /** Signs new certificates. */
  readonly active: { readonly id: string; readonly privateKey: KeyObject }
  /** The public key of an id: the active one, or one that signed before. */
  readonly find: (id: string) => KeyObject | undefined
  /** Every key that verifies, the active one first. */
  readonly jwks: { readonly keys: ReadonlyArray<PublicJwk> }
}

/** `privateKey` signs; it and `former` verify. */
export const keyring = (privateKey: KeyObject, former: ReadonlyArray<KeyObject>): Effect.Effect<Keyring> =>
  Effect.map(Effect.forEach([privateKey, ...former], verificationKey), (keys) => {
    const byId = new Map<string, VerificationKey>()
    for (const one of keys) if (!byId.has(one.id)) byId.set(one.id, one)
    return {
      active: { id: keys[0]?.id ?? "", privateKey },
      find: (id) => byId.get(id)?.key,
      jwks: { keys: [...byId.values()].map(({ jwk }) => jwk) }
    }
  })

const Jwks = Schema.parseJson(Schema.Struct({ keys: Schema.Array(Schema.Unknown) }))

const formerOf = (jwks: string) =>
  Schema.decodeUnknownEither(Jwks)(jwks).pipe(
    Either.mapLeft(() => "it is not a JWKS: a JSON object with the list `keys`"),
    Either.flatMap(({ keys }) => Either.all(keys.map((key) => readKey(JSON.stringify(key)))))
  )

/** The keys that sign and verify certificates: those of the settings, and those under `GRAVITAS_HOME`. */
export class SigningKeys extends Context.Tag("guardian/SigningKeys")<SigningKeys, Keyring>() {
  static readonly layer = Layer.effect(
    SigningKeys,
    Effect.gen(function* () {
      const { environment } = yield* Settings
      const guardian = yield* GuardianSettings
      const given = Option.map(guardian.signingKey, Redacted.value)
      if (Option.isNone(given) && environment === "production") return yield* new SigningKeyMissing()
      const underHome = yield* keysUnderHome({ make: Option.isNone(given) })
      const formerText = Option.map(guardian.formerKeys, Redacted.value)
      const former = Option.isNone(formerText)
        ? []
        : yield* Either.mapLeft(
            formerOf(formerText.value),
            (problem) => new SigningKeyUnusable({ setting: "GUARDIAN_FORMER_KEYS", problem })
          )
      const active = Option.isNone(given)
        ? underHome.active
        : yield* Either.mapLeft(
            Either.filterOrLeft(
              readKey(given.value),
              (key) => key.type === "private",
              () => unreadableKey
            ),
            (problem) => new SigningKeyUnusable({ setting: "GUARDIAN_SIGNING_KEY", problem })
          )
      if (active === undefined) return yield* new SigningKeyMissing()
      return yield* keyring(active, [...former, ...underHome.all])
    })
  )
}

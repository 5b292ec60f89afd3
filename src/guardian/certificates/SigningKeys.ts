import type { KeyObject } from "node:crypto"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { PublicJwk } from "../../contracts/guardian/GuardianSchemas.ts"
import { Settings } from "../../platform/config/Settings.ts"
import { keysUnderHome } from "./KeyDirectory.ts"
import { readKey, unreadableKey, type VerificationKey, verificationKey } from "./KeyMaterial.ts"

/** In production no key is generated: another instance could not verify its certificates, and the key is lost with the disk. */
export class SigningKeyMissing extends Schema.TaggedError<SigningKeyMissing>()("SigningKeyMissing", {}) {
  override get message(): string {
    return (
      "GUARDIAN_SIGNING_KEY is not set, and with NODE_ENV=production no key is generated. Set it to the Ed25519 key that signs " +
      'certificates, or generate one: GUARDIAN_SIGNING_KEY="$(openssl genpkey -algorithm ed25519)"'
    )
  }
}

/** A key of the settings cannot sign or verify certificates. */
export class SigningKeyUnusable extends Schema.TaggedError<SigningKeyUnusable>()("SigningKeyUnusable", {
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
      const { environment, guardian } = yield* Settings
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

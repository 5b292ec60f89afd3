import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { AuditLog } from "../../audit/AuditLog.ts"
import type { AuditId } from "../../audit/encoding/AuditId.ts"
import { certificateResource } from "../../contracts/guardian/GuardianSchemas.ts"
import type { AuditEvent } from "../../domain/AuditEvent.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { likeName, lookAlikes } from "../../platform/config/LookAlikes.ts"
import { type Claims, verifySignature } from "../certificates/CertificateSigner.ts"
import { Certificates } from "../certificates/Certificates.ts"
import { SigningKeys } from "../certificates/SigningKeys.ts"
import {
  type CertificateFile,
  claimsOf,
  differences,
  maximumFileBytes,
  parseCertificateFile
} from "./CertificateFile.ts"

class DirectoryUnreadable extends Schema.TaggedError<DirectoryUnreadable>()("DirectoryUnreadable", {
  directory: Schema.String,
  problem: Schema.String
}) {
  readonly exitCode = ExitCode.notFound
  override get message(): string {
    return `the certificates in ${this.directory} cannot be read: ${this.problem}`
  }
}

/** The database or the trail failed. Each file is imported whole or not at all. */
export class ImportStopped extends Schema.TaggedError<ImportStopped>()("ImportStopped", {
  done: Schema.Number,
  reason: Schema.String
}) {
  readonly exitCode = ExitCode.noAccess
  override get message(): string {
    return (
      `the import stopped after ${this.done} files: ${this.reason}. Each file was imported whole or not at all; import again: ` +
      "files that were imported are skipped"
    )
  }
}

export interface ImportRequest {
  readonly directory: string
  /** Sign again what is not signed, or was signed by an unknown key. */
  readonly resign: boolean
  readonly assumeUtc: boolean
  readonly dryRun: boolean
  /** The user that imports, for the trail. */
  readonly by: string
}

export interface ImportResult {
  readonly file: string
  /** `present`: it was imported before, in force or not. `accepted`: a dry run would import it. */
  readonly outcome: "imported" | "resigned" | "present" | "accepted" | "refused"
  readonly agent: string | null
  readonly id: string | null
  readonly expiresAt: number | null
  readonly reason: string | null
  /** Other agents, of a file or of the table, whose names a reader may take for this one's. */
  readonly looksLike: ReadonlyArray<string>
}

interface CertificateToAdopt {
  readonly claims: Claims
  /** Undefined where it has to be signed here. */
  readonly signed: { readonly keyId: string; readonly signature: string } | undefined
}

/** The certificate that a file yields. Fails with the reason why the file is refused. */
const certificateOf = (
  keys: typeof SigningKeys.Service,
  file: CertificateFile,
  resign: boolean
): Effect.Effect<CertificateToAdopt, string> =>
  Effect.gen(function* () {
    const { signature } = file
    const opened = yield* Effect.either(
      signature === undefined
        ? Effect.fail({ reason: "it is not signed" })
        : Effect.map(verifySignature(keys, signature), (verified) => ({ ...verified, signature }))
    )
    if (Either.isLeft(opened)) {
      return resign
        ? { claims: claimsOf(file), signed: undefined }
        : yield* Effect.fail(`${opened.left.reason}; --resign issues a new one with its dates`)
    }
    const { claims, ...signed } = opened.right
    const differing = differences(file, claims)
    // The file was changed after this guardian had signed it: it must not be signed again.
    if (differing.length > 0) return yield* Effect.fail(`it differs from what was signed (${differing.join(", ")})`)
    return { claims, signed }
  })

const readFile = (path: string, assumeUtc: boolean) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const info = yield* Effect.mapError(files.stat(path), () => "it cannot be read")
    if (info.type !== "File") return yield* Effect.fail("it is not a file")
    // Files of the kernel have no length: reading one that a link names may never end, or never begin.
    if (info.size === FileSystem.Size(0)) return yield* Effect.fail("it is empty")
    const tooLarge = `it is larger than ${maximumFileBytes} bytes`
    if (info.size > maximumFileBytes) return yield* Effect.fail(tooLarge)
    // It may grow meanwhile.
    const chunks = yield* files.stream(path, { bytesToRead: maximumFileBytes + 1 }).pipe(
      Stream.runCollect,
      Effect.mapError(() => "it cannot be read")
    )
    const bytes = Buffer.concat(Chunk.toReadonlyArray(chunks))
    if (bytes.length > maximumFileBytes) return yield* Effect.fail(tooLarge)
    const text = yield* Either.try({
      try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
      catch: () => "it is not UTF-8"
    })
    return yield* parseCertificateFile(text, { assumeUtc })
  })

/** Records before the certificate's commit: no certificate is in force without its row. */
const adopt = ({ claims, signed }: CertificateToAdopt, file: string, by: string) =>
  Effect.flatMap(Effect.all([Certificates, AuditLog]), ([certificates, trail]) => {
    const event: AuditEvent = {
      action: "certificate.import",
      resource: certificateResource(claims.sub),
      ghostId: null,
      shellId: null,
      result: "ALLOWED",
      reason: signed === undefined ? "signed again" : "its signature stands",
      requestId: null,
      facts: { by, file, certificate_id: claims.jti }
    }
    let recorded: AuditId | undefined
    const recording = Effect.tap(trail.record(event), (id) => {
      recorded = id
    })
    return certificates.adopt(claims, signed, recording).pipe(
      // Also after a defect: a value that the table refuses is one, and its row has to be withdrawn.
      Effect.onError((cause) => {
        const why = Option.match(Cause.failureOption(cause), {
          onNone: () => "the import failed",
          onSome: ({ message }) => message
        })
        return recorded === undefined ? Effect.void : trail.withdraw(event, recorded, why)
      })
    )
  }).pipe(Effect.uninterruptible)

/** The names of a directory's `.json` files, in their order. */
export const certificateFiles = (directory: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.readDirectory(directory)).pipe(
    Effect.map((names) => names.filter((name) => name.endsWith(".json")).sort()),
    Effect.mapError((error) => {
      const isMissing = error._tag === "SystemError" && error.reason === "NotFound"
      return new DirectoryUnreadable({ directory, problem: isMissing ? "there is no such directory" : error.message })
    })
  )

/** Imports `names`, files of the directory. A file with a problem is reported, and the others are imported. */
export const importCertificates = (request: ImportRequest, names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const { directory } = request
    const keys = yield* SigningKeys
    const certificates = yield* Certificates

    const isReady = yield* Effect.mapError(
      certificates.isReady,
      ({ message }) => new ImportStopped({ done: 0, reason: message })
    )

    const one = (file: string) =>
      Effect.gen(function* () {
        const refused = (reason: string, agent: string | null) =>
          ({ file, outcome: "refused", agent, id: null, expiresAt: null, reason, looksLike: [] }) as const
        const parsed = yield* Effect.either(readFile(path.join(directory, file), request.assumeUtc))
        if (Either.isLeft(parsed)) return refused(parsed.left, null)
        const taken = yield* Effect.either(certificateOf(keys, parsed.right, request.resign))
        if (Either.isLeft(taken)) return refused(taken.left, parsed.right.agent)
        const { claims: said, signed } = taken.right
        // A file without its signature is the same certificate: once revoked, it must not come back under another id.
        const known = signed === undefined && isReady ? yield* certificates.idOf(said) : undefined
        const claims = known === undefined ? said : { ...said, jti: known }
        const found = isReady ? yield* certificates.find(claims.jti) : undefined
        const isNew = request.dryRun ? found === undefined : yield* adopt({ claims, signed }, file, request.by)
        const done = request.dryRun ? "accepted" : signed === undefined ? "resigned" : "imported"
        const imported: ImportResult = {
          file,
          outcome: isNew ? done : "present",
          agent: claims.sub,
          id: claims.jti,
          expiresAt: claims.exp,
          reason: found?.revokedAt == null ? null : `it was revoked at ${DateTime.formatIso(found.revokedAt)}`,
          looksLike: []
        }
        return imported
      })

    const imported = yield* Effect.forEach(names, (file, done) =>
      Effect.mapError(one(file), ({ message }) => new ImportStopped({ done, reason: message }))
    )
    const known = isReady
      ? yield* Effect.mapError(
          certificates.agents,
          ({ message }) => new ImportStopped({ done: imported.length, reason: message })
        )
      : []
    const alike = yield* lookAlikes([...known, ...imported.flatMap(({ agent }) => agent ?? [])])
    return imported.map(
      (result): ImportResult => ({
        ...result,
        looksLike: result.agent === null ? [] : likeName(alike, result.agent)
      })
    )
  })

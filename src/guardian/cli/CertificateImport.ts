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
import { certificateResource } from "../../contracts/guardian/GuardianResources.ts"
import type { AuditEvent } from "../../domain/AuditEvent.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
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

/** The directory is none, or cannot be read. */
export class DirectoryUnreadable extends Schema.TaggedError<DirectoryUnreadable>()("DirectoryUnreadable", {
  directory: Schema.String,
  problem: Schema.String
}) {
  get exitCode(): number {
    return 11
  }
  override get message(): string {
    return `the certificates in ${this.directory} cannot be read: ${this.problem}`
  }
}

/** The database or the trail did not go on. Each file is imported whole or not at all. */
export class ImportStopped extends Schema.TaggedError<ImportStopped>()("ImportStopped", {
  done: Schema.Number,
  reason: Schema.String
}) {
  get exitCode(): number {
    return ExitCode.noAccess
  }
  override get message(): string {
    return (
      `the import stopped after ${this.done} files: ${this.reason}. Nothing is half done; import again: files that were imported ` +
      "are passed over"
    )
  }
}

export interface ImportRequest {
  readonly directory: string
  /** Sign anew what is unsigned, or was signed by an unknown key. */
  readonly resign: boolean
  readonly assumeUtc: boolean
  readonly dryRun: boolean
  /** Who imports, for the record. */
  readonly by: string
}

export interface Imported {
  readonly file: string
  /** `present`: there before, in force or not. `accepted`: what a dry run would import. */
  readonly outcome: "imported" | "resigned" | "present" | "accepted" | "refused"
  readonly agent: string | null
  readonly id: string | null
  readonly expiresAt: number | null
  readonly reason: string | null
}

interface Sealed {
  readonly claims: Claims
  /** Undefined where it is to be signed anew. */
  readonly signed: { readonly keyId: string; readonly signature: string } | undefined
}

/** What of a file is taken over. Left: why nothing is. */
const sealed = (keys: typeof SigningKeys.Service, file: CertificateFile, resign: boolean) =>
  Effect.gen(function* () {
    const { signature } = file
    if (signature !== undefined) {
      const opened = yield* Effect.either(verifySignature(keys, signature))
      if (Either.isRight(opened)) {
        const { claims, keyId } = opened.right
        const differing = differences(file, claims)
        // Somebody changed what this guardian had signed: that is not to be signed anew.
        if (differing.length > 0) return yield* Effect.fail(`it differs from what was signed (${differing.join(", ")})`)
        const taken: Sealed = { claims, signed: { keyId, signature } }
        return taken
      }
      if (!resign) return yield* Effect.fail(`${opened.left.reason}; --resign issues a new one with its dates`)
    }
    if (!resign) return yield* Effect.fail("nobody signed it; --resign issues a new one with its dates")
    const anew: Sealed = { claims: claimsOf(file), signed: undefined }
    return anew
  })

const readFile = (path: string, assumeUtc: boolean) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const info = yield* Effect.mapError(files.stat(path), () => "it cannot be read")
    if (info.type !== "File") return yield* Effect.fail("it is no file")
    // The kernel's own files have no length: one that a link leads to may never end, or never begin.
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

/** Imports each `.json` of a directory, by name. What a file lacks is told of, and the rest goes on. */
export const importCertificates = (request: ImportRequest) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const { directory } = request
    const names = yield* Effect.mapError(
      files.readDirectory(directory),
      (error) =>
        new DirectoryUnreadable({
          directory,
          problem:
            error._tag === "SystemError" && error.reason === "NotFound" ? "there is no such directory" : error.message
        })
    )
    const keys = yield* SigningKeys
    const certificates = yield* Certificates
    const trail = yield* AuditLog

    /** The row of the trail comes before the certificate's commit: none is in force that nobody recorded. */
    const adopt = ({ claims, signed }: Sealed, file: string) =>
      Effect.suspend(() => {
        const event: AuditEvent = {
          action: "certificate.import",
          resource: certificateResource(claims.sub),
          ghostId: null,
          shellId: null,
          result: "ALLOWED",
          reason: signed === undefined ? "signed anew" : "its signature stands",
          requestId: null,
          metadata: { by: request.by, file, certificate_id: claims.jti }
        }
        let recorded: AuditId | undefined
        const recording = Effect.tap(trail.record(event), (id) => {
          recorded = id
        })
        return certificates.adopt(claims, signed, recording).pipe(
          // Also of a defect: a value that the table refuses is one, and the row is taken back with it.
          Effect.onError((cause) => {
            const why = Option.match(Cause.failureOption(cause), {
              onNone: () => "the import failed",
              onSome: ({ message }) => message
            })
            return recorded === undefined ? Effect.void : trail.withdraw(event, recorded, why)
          })
        )
      }).pipe(Effect.uninterruptible)

    const isReady = yield* Effect.mapError(
      certificates.isReady,
      ({ message }) => new ImportStopped({ done: 0, reason: message })
    )

    const one = (file: string) =>
      Effect.gen(function* () {
        const refused = (reason: string, agent: string | null): Imported => ({
          file,
          outcome: "refused",
          agent,
          id: null,
          expiresAt: null,
          reason
        })
        const parsed = yield* Effect.either(readFile(path.join(directory, file), request.assumeUtc))
        if (Either.isLeft(parsed)) return refused(parsed.left, null)
        const taken = yield* Effect.either(sealed(keys, parsed.right, request.resign))
        if (Either.isLeft(taken)) return refused(taken.left, parsed.right.agent)
        const { claims: said, signed } = taken.right
        // Without its signature it is the same certificate still: revoked, it does not come back under another id.
        const known = signed === undefined && isReady ? yield* certificates.idOf(said) : undefined
        const claims = known === undefined ? said : { ...said, jti: known }
        const found = isReady ? yield* certificates.find(claims.jti) : undefined
        const isNew = request.dryRun ? found === undefined : yield* adopt({ claims, signed }, file)
        const done = request.dryRun ? "accepted" : signed === undefined ? "resigned" : "imported"
        const imported: Imported = {
          file,
          outcome: isNew ? done : "present",
          agent: claims.sub,
          id: claims.jti,
          expiresAt: claims.exp,
          reason: found?.revokedAt == null ? null : `it was revoked at ${DateTime.formatIso(found.revokedAt)}`
        }
        return imported
      })

    return yield* Effect.forEach(names.filter((name) => name.endsWith(".json")).sort(), (file, done) =>
      Effect.mapError(one(file), ({ message }) => new ImportStopped({ done, reason: message }))
    )
  })

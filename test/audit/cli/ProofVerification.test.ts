import * as Crypto from "node:crypto"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { canonicalJson } from "../../../src/audit/encoding/AuditRow.ts"
import { type Format2Row, format2Digest, format2Json } from "../../../src/audit/encoding/Format2Row.ts"
import {
  cosignText,
  formatCheckpoint,
  formatVerifierKey,
  makeSigningKey,
  signNote
} from "../../../src/audit/tree/NoteSigning.ts"
import { foldSteps, inclusionSteps } from "../../../src/audit/tree/ProofBuilding.ts"
import { formatProofFile } from "../../../src/audit/tree/ProofFileWriting.ts"
import { RightEdge } from "../../../src/audit/tree/RightEdge.ts"
import { encodeEntry } from "../../../src/audit/tree/verify/LeafEntry.ts"
import { hashLeaf } from "../../../src/audit/tree/verify/MerkleProofs.ts"
import { keyTypes } from "../../../src/audit/tree/verify/SignedNote.ts"
import { auditCommandLine } from "../../support/AuditCommandLine.ts"
import { anEvent, rowsOf } from "../../support/AuditEvents.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

const newKey = () => Crypto.generateKeyPairSync("ed25519").privateKey
const log = makeSigningKey("log.example/trails/1", newKey())
const witness = makeSigningKey("witness.example", newKey(), keyTypes.cosignature)
const rows = rowsOf(5, { event: anEvent })

const entries = rows.map(({ id, leafHash }) => ({ format: 1, id, digest: leafHash }))

/** A proof of the third of five events, with another text in it if one is given. */
const proofOf = (event = rows.slice(2, 3).map(canonicalJson).join(), third = entries[2]) => {
  const edge = new RightEdge()
  const hashes = new Map<string, Uint8Array>()
  for (const [index, entry] of entries.entries()) {
    const leaf = hashLeaf(encodeEntry(index === 2 && third !== undefined ? third : entry))
    edge.append(leaf, (level, index, hash) => hashes.set(`${level}/${index}`, hash))
  }
  const text = formatCheckpoint({ origin: log.verifier.name, size: edge.size, root: edge.root() })
  return formatProofFile({
    extra: Buffer.from(event),
    index: 2,
    proof: foldSteps(
      inclusionSteps(2, edge.size),
      ({ index, level }) => hashes.get(`${level}/${index}`) ?? Buffer.of()
    ),
    checkpoint: Buffer.from(signNote(text, [log]) + cosignText(text, witness, 1_764_561_600))
  })
}

/** The command line in a home without a database that answers. */
const withProof = (bytes: Uint8Array) =>
  Effect.gen(function* () {
    const home = yield* temporaryHome
    const file = Path.join(home, "event.tlog-proof")
    yield* Effect.promise(() => Fs.writeFile(file, bytes))
    const run = auditCommandLine({ url: Redacted.make("postgresql://127.0.0.1:9/none"), home })
    return (...args: ReadonlyArray<string>) => run("trail", "verify-proof", file, ...args)
  })

const key = formatVerifierKey(log.verifier)
const witnessKey = formatVerifierKey(witness.verifier)

it.scopedLive("trail verify-proof accepts a proof without a database, and shows its event", () =>
  Effect.gen(function* () {
    const verify = yield* withProof(proofOf())
    const accepted = yield* verify("--key", key, "--witness", witnessKey, "--json")
    expect(accepted.code).toBe(0)
    expect(JSON.parse(accepted.stdout)).toMatchObject({
      result: { id: rows[2]?.id, index: 2, size: 5, witnesses: [{ name: "witness.example", time: 1_764_561_600 }] }
    })
    expect((yield* verify("--key", key)).stdout).toContain("The event is leaf 2 of log.example/trails/1")
  })
)

it.scopedLive("trail verify-proof refuses another event, another key and a missing witness with 5", () =>
  Effect.gen(function* () {
    const verify = yield* withProof(proofOf())
    const other = makeSigningKey(log.verifier.name, newKey())
    const absent = makeSigningKey("absent.example", newKey(), keyTypes.cosignature)
    const otherEvent = yield* withProof(proofOf(rows.slice(3, 4).map(canonicalJson).join()))
    expect(yield* otherEvent("--key", key)).toMatchObject({ code: 5 })
    expect(yield* verify("--key", formatVerifierKey(other.verifier))).toMatchObject({ code: 5 })
    expect(yield* verify("--key", "not a key")).toMatchObject({ code: 5 })
    const missing = yield* verify(
      "--key",
      key,
      "--witness",
      witnessKey,
      "--witness",
      formatVerifierKey(absent.verifier)
    )
    expect(missing).toMatchObject({ code: 5 })
    expect(missing.stderr).toContain("1 witnesses signed the checkpoint; 2 are needed")
    const empty = yield* withProof(Buffer.of())
    expect(yield* empty("--key", key)).toMatchObject({ code: 5 })
  })
)

/** The third event, as it would be in format 2. */
const format2Rows = rows.slice(2, 3).map(
  (row): Format2Row => ({
    ...row,
    salt: "0f".repeat(32),
    policyVersion: "7f3a",
    rule: "groups.readers[0]",
    traceId: null,
    identity: "gatekeeper",
    askedBy: null,
    client: { address: "203.0.113.7" }
  })
)

it.scopedLive("trail verify-proof accepts an event of format 2, and refuses another salt or format byte", () =>
  Effect.gen(function* () {
    for (const row of format2Rows) {
      const entry = { format: 2, id: row.id, digest: format2Digest(row) }
      const verify = yield* withProof(proofOf(format2Json(row), entry))
      const accepted = yield* verify("--key", key, "--json")
      expect(accepted.code).toBe(0)
      expect(JSON.parse(accepted.stdout)).toMatchObject({ result: { id: row.id, index: 2, event: format2Json(row) } })
      const otherSalt = yield* withProof(proofOf(format2Json({ ...row, salt: "0e".repeat(32) }), entry))
      expect(yield* otherSalt("--key", key)).toMatchObject({ code: 5 })
      const otherByte = yield* withProof(proofOf(format2Json(row), { ...entry, format: 1 }))
      expect(yield* otherByte("--key", key)).toMatchObject({ code: 5 })
    }
    expect(format2Rows).toHaveLength(1)
  })
)

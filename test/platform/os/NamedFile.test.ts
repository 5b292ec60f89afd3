import * as Fs from "node:fs"
import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { requireTrustedWay } from "../../../src/platform/os/NamedFile.ts"
import { skipBecause } from "../../support/SkipBecause.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

const isRoot = process.getuid?.() === 0

const lookAt = (file: string) =>
  Effect.promise(() =>
    requireTrustedWay(file).then(
      () => "accepted",
      (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))
    )
  )

/** As the kubelet mounts a secret: `policy.yaml` -> `..data/policy.yaml`, `..data` -> a directory of the content. */
const mounted = Effect.gen(function* () {
  const volume = yield* temporaryHome
  Fs.chmodSync(volume, 0o1777)
  const content = Path.join(volume, "..2026_11_30")
  Fs.mkdirSync(content)
  Fs.chmodSync(content, 0o755)
  const target = Path.join(content, "policy.yaml")
  Fs.writeFileSync(target, "groups: {}\n")
  Fs.chmodSync(target, 0o644)
  Fs.symlinkSync("..2026_11_30", Path.join(volume, "..data"))
  const file = Path.join(volume, "policy.yaml")
  Fs.symlinkSync("..data/policy.yaml", file)
  return { content, file, target, volume }
})

describe("a file that a setting names", () => {
  it.scopedLive("may be a link, as in a secret of Kubernetes; a missing one is told by its code", () =>
    Effect.gen(function* () {
      const { file, volume } = yield* mounted
      expect(yield* lookAt(file)).toBe("accepted")
      expect(yield* lookAt(Path.relative(process.cwd(), file))).toBe("accepted")
      expect(yield* lookAt(Path.join(volume, "missing"))).toContain("ENOENT")
    })
  )

  it.scopedLive("is refused where others may change it or a directory on its way", () =>
    Effect.gen(function* () {
      const { content, file, target, volume } = yield* mounted
      for (const [path, mode, was] of [
        [target, 0o646, 0o644],
        [target, 0o664, 0o644],
        [content, 0o757, 0o755],
        [content, 0o775, 0o755],
        // Without the sticky bit another user can rename what is in it.
        [volume, 0o777, 0o1777]
      ] as const) {
        Fs.chmodSync(path, mode)
        const outcome = yield* lookAt(file)
        expect([path, outcome]).toEqual([path, expect.stringContaining(`chmod go-w ${path}`)])
        Fs.chmodSync(path, was)
      }
      expect(yield* lookAt(file)).toBe("accepted")
    })
  )

  it.scopedLive("is refused where it, a directory or a link on its way belongs to another user", (context) =>
    Effect.gen(function* () {
      if (!isRoot) return skipBecause(context, "only root can give a file away")
      const { content, file, target, volume } = yield* mounted
      for (const path of [target, content, file, Path.join(volume, "..data"), volume]) {
        Fs.lchownSync(path, 65_534, 65_534)
        const outcome = yield* lookAt(file)
        expect([path, outcome]).toEqual([path, expect.stringContaining(`${path} belongs to the user 65534`)])
        Fs.lchownSync(path, 0, 0)
      }
      expect(yield* lookAt(file)).toBe("accepted")
    })
  )

  it.scopedLive("is refused where links lead in a circle", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const [one, other] = [Path.join(home, "one"), Path.join(home, "other")]
      Fs.symlinkSync(one, other)
      Fs.symlinkSync(other, one)
      expect(yield* lookAt(one)).toContain("ELOOP")
    })
  )
})

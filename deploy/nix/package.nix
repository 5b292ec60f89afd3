# The release (`pnpm release`) with a starter that has its own Node: bin/gravitas. Without the embedded PostgreSQL, so DATABASE_URL is
# needed.
{
  lib,
  stdenv,
  makeWrapper,
  nodejs,
  pnpm,
  src,
  # Seconds since 1970, for the times in the release.
  date,
}:
stdenv.mkDerivation (final: {
  pname = "gravitas";
  inherit ((lib.importJSON (src + "/package.json"))) version;
  inherit src;

  # Of all packages in pnpm-lock.yaml. Nix prints the right one where this is not it: copy it after each change of the lock file.
  pnpmDeps = pnpm.fetchDeps {
    inherit (final) pname version src;
    hash = lib.fakeHash;
  };

  nativeBuildInputs = [
    makeWrapper
    nodejs
    pnpm.configHook
  ];

  buildPhase = ''
    runHook preBuild
    SOURCE_DATE_EPOCH=${toString date} node --import tsx scripts/release/main.ts --folder $out/lib/gravitas
    runHook postBuild
  '';

  installPhase = ''
    runHook preInstall
    makeWrapper ${lib.getExe nodejs} $out/bin/gravitas \
      --add-flags "--max-semi-space-size=64 $out/lib/gravitas/dist/main.mjs"
    runHook postInstall
  '';

  # The sums in the release are of the files as they are.
  dontFixup = true;

  meta = {
    description = "The security backbone of a fleet of AI agents: gatekeeper, guardian, router";
    license = lib.licenses.unfree;
    mainProgram = "gravitas";
    platforms = lib.platforms.linux ++ lib.platforms.darwin;
  };
})

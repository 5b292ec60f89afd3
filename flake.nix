{
  description = "Gravitas: the security backbone of a fleet of AI agents";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.05";

  outputs =
    { self, nixpkgs, ... }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      forEachSystem = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      packages = forEachSystem (pkgs: {
        default = pkgs.callPackage ./deploy/nix/package.nix {
          nodejs = pkgs.nodejs_22;
          pnpm = pkgs.pnpm_10;
          src = self;
          date = self.lastModified or 0;
        };
      });

      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          packages = [
            # 22 and not 20, which nixpkgs drops as it reaches its end of life; the program runs on both.
            pkgs.nodejs_22
            # pnpm 10 switches by itself to the exact version that package.json names.
            pkgs.pnpm_10
            # psql and pg_dump. The server is the embedded one, unless DATABASE_URL names another.
            pkgs.postgresql_17
          ];
        };
      });

      formatter = forEachSystem (pkgs: pkgs.nixfmt-rfc-style);
    };
}

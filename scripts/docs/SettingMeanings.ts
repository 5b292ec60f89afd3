/** What a setting means, where it stands in the documents, and its default where the program computes one. */
export interface Meaning {
  readonly meaning: string
  /** In place of the declared default. */
  readonly default?: string
  /** In `.env.example`, in place of the default. */
  readonly example?: string
}

interface MeaningGroup {
  readonly title: string
  readonly settings: Readonly<Record<string, Meaning>>
}

const services = ["GATEKEEPER", "GUARDIAN", "ROUTER"] as const

const forServices = (suffix: string, meaning: (service: string) => Meaning): Readonly<Record<string, Meaning>> =>
  Object.fromEntries(services.map((service) => [`${service}_${suffix}`, meaning(service.toLowerCase())]))

/** In the order of docs/configuration.md. Every setting of the program is in exactly one group. */
export const meaningGroups: ReadonlyArray<MeaningGroup> = [
  {
    title: "Process",
    settings: {
      NODE_ENV: {
        meaning: "`production` makes up no secret and refuses insecure settings; `dev` means `development`."
      },
      ALLOW_INSECURE: {
        meaning:
          "Insecure settings that production starts with all the same, by name; see [operations](operations.md#production). Health, banner and log show them."
      },
      GRAVITAS_HOME: {
        meaning:
          "Directory of keys, the audit journal and the embedded PostgreSQL. It must persist; see [operations](operations.md)."
      },
      SHUTDOWN_DELAY: {
        meaning: "Time after the stop signal in which requests are answered as before, while `/readyz` says 503."
      },
      SHUTDOWN_DEADLINE: {
        meaning: "Time from the stop signal, or the end of SHUTDOWN_DELAY, to the end of the process."
      },
      LOG_LEVEL: { meaning: "Lowest level that is logged." },
      LOG_FORMAT: { meaning: "`auto` is pretty on a terminal and JSON otherwise." }
    }
  },
  {
    title: "Addresses",
    settings: {
      HOST: { meaning: "Address that all services listen on." },
      HTTP_MAX_CONNECTIONS: {
        meaning:
          "Connections of one port that are open at once. Beyond it the one that was idle the longest is closed. As many more may be in their TLS handshake; keep it below the limit of open files."
      },
      HTTP_REQUEST_TIMEOUT: {
        meaning: "Time for a whole request to arrive, its body included. After it the answer is 408."
      },
      TLS_CERT_FILE: {
        meaning: "Certificate chain of the ports, followed while it changes; see [operations](operations.md#tls).",
        default: "plain HTTP"
      },
      TLS_KEY_FILE: { meaning: "Private key of that certificate." },
      TLS_CLIENT_CA_FILE: { meaning: "CA whose certificates clients must show.", default: "clients need none" },
      PEER_CA_FILE: {
        meaning: "CA of peers that are called over https; the issuer at `JWKS_URL` may have a certificate of it too.",
        default: "the CAs that Node knows"
      },
      ALLOWED_HOSTS: {
        meaning:
          "Names by which browsers may reach the services, besides those of this machine; see [operations](operations.md#browsers)."
      },
      ...forServices("PORT", (service) => ({
        meaning: `Port of the ${service}; 0 picks a free port, which the banner prints.`
      })),
      GATEKEEPER_PUBLIC_URL: {
        meaning: "Address that `/.well-known/authzen-configuration` reports.",
        default: "the address it listens on"
      },
      GATEKEEPER_URL: {
        meaning: "Address of the gatekeeper, for a process without one.",
        default: "this process, else `http://127.0.0.1:8001`",
        example: "http://127.0.0.1:8001"
      },
      GUARDIAN_URL: {
        meaning: "Address of the guardian, for a process without one.",
        default: "this process, else `http://127.0.0.1:8003`",
        example: "http://127.0.0.1:8003"
      },
      STOP_FEED_GRACE: {
        meaning:
          "How long the gatekeeper's feed of stops may be silent. After that, a process without the gatekeeper ends answers in flight."
      },
      TRUSTED_PROXIES: {
        meaning:
          "Proxies, and other Gravitas processes, whose `Forwarded` and `X-Forwarded-For` name the client; see [strangers](audit-trail.md#strangers).",
        default: "none"
      },
      PEER_TIMEOUT: { meaning: "How long another service may take to answer; then the request is refused." }
    }
  },
  {
    title: "Database",
    settings: {
      DATABASE_URL: {
        meaning: "PostgreSQL 14 or later, for all services.",
        default: "the embedded PostgreSQL 18",
        example: "postgresql://gravitas:password@127.0.0.1:5432/gravitas"
      },
      ...forServices("DATABASE_URL", (service) => ({
        meaning: `PostgreSQL of the ${service}. Services with equal URLs share a pool.`,
        default: "`DATABASE_URL`"
      })),
      MIGRATION_DATABASE_URL: {
        meaning: "Connection of the role that owns and migrates the schemas.",
        default: "the service's own URL"
      },
      ...forServices("MIGRATION_DATABASE_URL", (service) => ({
        meaning: `The same, for the ${service} alone.`,
        default: "`MIGRATION_DATABASE_URL`"
      })),
      MIGRATE_ON_START: {
        meaning:
          "`upgrade` brings the schemas to head at start. `verify` exits with 3 unless they are at head. `off` starts without migrating, and is not ready on an older schema."
      },
      DATABASE_CONNECT_DEADLINE: { meaning: "How long a start retries to reach PostgreSQL." },
      DATABASE_AUTH: {
        meaning:
          "How PostgreSQL may ask for the password. `scram` accepts MD5 only over verified TLS. The password is never sent in clear text.",
        default: "`scram,md5`; in production `scram`"
      },
      EMBEDDED_POSTGRES_PORT: {
        meaning:
          "Port of the embedded PostgreSQL on 127.0.0.1, for other programs. The services always use its Unix socket.",
        default: "no port"
      }
    }
  },
  {
    title: "Tokens",
    settings: {
      JWT_SECRET_KEY: {
        meaning: "HS256 secret of at least 32 bytes.",
        default: "generated once under `GRAVITAS_HOME`; required in production"
      },
      JWT_PREVIOUS_SECRET_KEYS: { meaning: "Up to 4 older secrets that still verify tokens, separated by commas." },
      JWT_ISSUER: {
        meaning: "`iss` that tokens must carry. Required with `JWKS_URL` in production.",
        default: "not checked"
      },
      JWT_AUDIENCE: {
        meaning: "`aud` that tokens must carry. Required with `JWKS_URL` in production.",
        default: "not checked"
      },
      JWT_ALGORITHMS: {
        meaning: "Algorithms that are accepted, separated by commas.",
        default: "`HS256`; with `JWKS_URL` `RS256,ES256,EdDSA,Ed25519`, and `HS256` where `JWT_SECRET_KEY` is set",
        example: "HS256"
      },
      JWT_CLOCK_TOLERANCE: { meaning: "How far the issuer's clock may differ from the gatekeeper's." },
      JWT_MAX_LIFETIME: {
        meaning: "Longest time from `iat` to `exp` of a token; `JWT_CLOCK_TOLERANCE` is added. A longer one is refused."
      },
      TOKENS_MAX_LIFETIME: {
        meaning: "Longest life of a token that `POST /tokens` makes; `JWT_MAX_LIFETIME` bounds it too."
      },
      JWKS_URL: { meaning: "Public keys of an issuer: https, or http to this machine." },
      JWKS_REFRESH_INTERVAL: { meaning: "How often the keys are fetched." },
      JWKS_MAX_AGE: { meaning: "How long fetched keys are accepted while fetching fails." },
      JWKS_COOL_DOWN: { meaning: "Shortest time between two fetches that unknown keys cause." },
      JWKS_TIMEOUT: { meaning: "How long a fetch may take." },
      AUTH_DISABLED: {
        meaning:
          "`true` accepts every request as the ghost `anonymous`. For development: refused in production, and unless `HOST` is this machine alone.",
        default: "`false`",
        example: "false"
      },
      SERVICE_TOKEN: {
        meaning:
          "Token of a process without the gatekeeper, without the word `Bearer`. Ignored in production: enrol the service's key.",
        default: "got by the service's key"
      }
    }
  },
  {
    title: "Policy",
    settings: { ACCESS_POLICY_PATH: { meaning: "The policy file, read again when it changes." } }
  },
  {
    title: "Audit trail",
    settings: {
      AUDIT_DURABILITY: {
        meaning:
          "What an answer waits for: `memory`, `journal`, `fsync` or `commit`. See [the audit trail](audit-trail.md)."
      },
      AUDIT_DURABILITY_BY_RESULT: {
        meaning: "Another mode for some results.",
        default: "none",
        example: "DENIED=fsync,UNAUTHENTICATED=fsync"
      },
      AUDIT_COMMIT_DEADLINE: { meaning: "How long an answer waits in `fsync` and `commit`; then 503." },
      AUDIT_JOURNAL_MAX_BYTES: {
        meaning: "Bytes of journal that one process may fill, with the journals it recovers."
      },
      AUDIT_JOURNAL_FLUSH_INTERVAL: { meaning: "How often the journal is synced when no answer waits for a sync." },
      AUDIT_QUEUE_CAPACITY: {
        meaning: "Events in memory. With a journal, the others are read back from it.",
        default: "`8192`; `65536` in the mode `memory`"
      },
      AUDIT_ON_FULL: {
        meaning:
          "When no more events can be kept: `refuse` answers 503; `shed` answers, counts the loss and writes a loss receipt."
      },
      AUDIT_FAILURES_PER_ADDRESS: {
        meaning:
          "Failures a second without a valid identity that get a row each, of one IPv4 address or IPv6 /64; five times as many at once."
      },
      AUDIT_FAILURES_IN_ALL: { meaning: "The same, of all addresses together." },
      AUDIT_BATCH_SIZE: { meaning: "Most rows in one transaction." },
      AUDIT_LINGER: { meaning: "How long the first event of a batch waits for more." }
    }
  },
  {
    title: "Guardian",
    settings: {
      GUARDIAN_SIGNING_KEY: {
        meaning: "Private Ed25519 key that signs certificates: PKCS #8 in PEM (line ends may be `\\n`), or a JWK.",
        default: "generated under `GRAVITAS_HOME`; required in production"
      },
      GUARDIAN_FORMER_KEYS: { meaning: "JWKS of keys that signed before and still verify.", default: "none" },
      GUARDIAN_SESSION_TIMEOUT: { meaning: "How long a session may be silent before it expires." },
      GUARDIAN_SESSION_RETENTION: {
        meaning:
          "How long a session that has ended stays in the table; the [trail](guardian.md#sessions) keeps what happened."
      }
    }
  },
  {
    title: "Router",
    settings: {
      ROUTER_MODELS_PATH: {
        meaning:
          "The models file. It names the variable of each provider's key (`api_key_env`), for example `DEEPINFRA_API_KEY`; a provider without its key is unavailable."
      },
      ROUTER_STORE_CONTENT: { meaning: "Whether the history keeps the content of messages." },
      ROUTER_MAX_BODY_BYTES: {
        meaning:
          "Most bytes of a chat request, images included; beyond it the answer is 413. Each request in flight may hold as much."
      },
      ROUTER_CORS_ORIGINS: {
        meaning:
          "Origins whose web pages may call the router (CORS); see [the router](router.md#browsers-and-proxies).",
        default: "none"
      },
      ROUTER_KEEP_ALIVE: {
        meaning:
          "A streamed answer without content for so long begins with comments, and repeats them, so that proxies keep the connection."
      },
      ROUTER_MAX_MESSAGES: { meaning: "Most messages of a chat request. Each has its row in the history." }
    }
  },
  {
    title: "Telemetry",
    settings: {
      OTEL_EXPORTER_OTLP_ENDPOINT: {
        meaning: "Base address of the receiver.",
        default: "nothing is sent",
        example: "http://127.0.0.1:4318"
      },
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: {
        meaning: "Full address for traces.",
        default: "the base address with `/v1/traces`"
      },
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: {
        meaning: "Full address for metrics.",
        default: "the base address with `/v1/metrics`"
      },
      OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: {
        meaning: "Full address for logs.",
        default: "the base address with `/v1/logs`"
      },
      OTEL_EXPORTER_OTLP_HEADERS: { meaning: "Headers of every export. Secret.", default: "none" },
      OTEL_EXPORTER_OTLP_PROTOCOL: { meaning: "Encoding of exports." },
      OTEL_EXPORTER_OTLP_TIMEOUT: { meaning: "Milliseconds that one export may take." },
      OTEL_SERVICE_NAME: {
        meaning: "Name of this process at the receiver.",
        default: "`gravitas`",
        example: "gravitas"
      },
      OTEL_RESOURCE_ATTRIBUTES: { meaning: "Attributes of this process at the receiver.", default: "none" },
      OTEL_TRACES_SAMPLER: { meaning: "Which traces are sent." },
      OTEL_TRACES_SAMPLER_ARG: { meaning: "Share of the `traceidratio` samplers." },
      OTEL_TRACES_EXPORTER: { meaning: "`none` sends no traces." },
      OTEL_METRICS_EXPORTER: { meaning: "`none` sends no metrics." },
      OTEL_LOGS_EXPORTER: { meaning: "`none` sends no logs." },
      OTEL_METRIC_EXPORT_INTERVAL: { meaning: "Milliseconds between two exports of metrics." },
      OTEL_SDK_DISABLED: { meaning: "`true` sends nothing." }
    }
  }
]

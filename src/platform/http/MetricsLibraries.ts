import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus"
import { emptyResource } from "@opentelemetry/resources"

/** Imported statically, since a build loses the names of CommonJS that is imported when needed. */
export const prometheus = { PrometheusSerializer, emptyResource }

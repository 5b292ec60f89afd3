import * as HttpApi from "@effect/platform/HttpApi"
import { HealthGroup } from "../platform/http/Health.ts"

export class RouterApi extends HttpApi.make("router").add(HealthGroup) {}

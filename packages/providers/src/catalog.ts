/** The only registry: one list for each service. Settings choose among them by their ids. */
import { BuildDocker } from "./build/docker/BuildDocker.ts"
import { BuildProcess } from "./build/process/BuildProcess.ts"
import { LocalCa } from "./certificates/local-ca/LocalCa.ts"
import { DatabasePostgres } from "./database/postgres/DatabasePostgres.ts"
import { DeployDocker } from "./deploy/docker/DeployDocker.ts"
import { DeployProcess } from "./deploy/process/DeployProcess.ts"
import { DnsEmbedded } from "./dns/embedded/DnsEmbedded.ts"
import { PowerDns } from "./dns/powerdns/PowerDns.ts"
import { GitEmbedded } from "./git/embedded/GitEmbedded.ts"
import { GitHttps } from "./git/https/GitHttps.ts"
import { IngressEmbedded } from "./ingress/embedded/IngressEmbedded.ts"
import { LogsEmbedded } from "./logs/embedded/LogsEmbedded.ts"
import { VaultLocal } from "./vault/local/VaultLocal.ts"

export const git = [GitEmbedded, GitHttps] as const
export const build = [BuildProcess, BuildDocker] as const
export const deploy = [DeployProcess, DeployDocker] as const
export const ingress = [IngressEmbedded] as const
export const dns = [DnsEmbedded, PowerDns] as const
export const vault = [VaultLocal] as const
export const database = [DatabasePostgres] as const
export const logs = [LogsEmbedded] as const
export const certificates = [LocalCa] as const

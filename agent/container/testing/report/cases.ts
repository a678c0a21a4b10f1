/**
 * For tests: specifications, each with questions that its container asks about itself and what the answers must be.
 * They run here, with crun, and in a real guest.
 */

import type { ReportCase } from "./case.ts";
import { FILES_CASES } from "./files.ts";
import { ISOLATION_CASES } from "./isolation.ts";
import { PROCESS_CASES } from "./process.ts";

/** Everything that is compared. */
export const REPORT_CASES: readonly ReportCase[] = [...PROCESS_CASES, ...FILES_CASES, ...ISOLATION_CASES];

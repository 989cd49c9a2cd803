// What iam-simulate says of requests, as to the policy of the queue alone.
//
// Reads a line of JSON for each request: {"policy": {...}, "principal": "...", "action": "...", "resource": "...",
// "keys": {"aws:SourceIp": ["..."]}}. Writes a line for each, in the same order: {"answer": "allow", "deny" or
// "no match"}, or {"error": "..."} where iam-simulate cannot evaluate the pair.
//
// iam-simulate weighs the policies of the caller and of the queue together, and then has the result of each in its
// analysis. An account that is named as a whole is a result of its own there ("AllowedForAccount"), because the caller
// needs an identity policy as well; for the queue's policy it is an Allow.

import { createInterface } from 'node:readline'
import { anonymousPrincipal, runSimulation } from '@cloud-copilot/iam-simulate'

const ANSWERS = {
  Allowed: 'allow',
  AllowedForAccount: 'allow',
  ExplicitlyDenied: 'deny',
  DeniedForAccount: 'deny',
  ImplicitlyDenied: 'no match',
  NotApplicable: 'no match'
}

async function answer({ policy, principal, action, resource, keys }) {
  const simulation = {
    request: {
      principal: principal === 'anonymous' ? anonymousPrincipal : principal,
      action,
      resource: { resource, accountId: resource.split(':')[4] },
      contextVariables: keys
    },
    identityPolicies: [],
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    resourcePolicy: policy
  }
  const results = await runSimulation(simulation, { simulationMode: 'Strict' })
  if (results.resultType !== 'single') {
    return { error: JSON.stringify(results.errors ?? results.resultType) }
  }
  const { analysis, ignoredContextKeys } = results.result
  if (ignoredContextKeys?.length) {
    return { error: `keys that iam-simulate does not know: ${ignoredContextKeys.join(', ')}` }
  }
  return { answer: ANSWERS[analysis.resourceAnalysis.result] }
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const reply = await answer(JSON.parse(line)).catch((error) => ({ error: String(error) }))
  process.stdout.write(`${JSON.stringify(reply)}\n`)
}

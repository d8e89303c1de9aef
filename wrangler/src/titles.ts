/** Names that capitals alone do not make right. */
const known: Readonly<Record<string, string>> = { github: 'GitHub', gitlab: 'GitLab', hubspot: 'HubSpot' }

/** How a provider is called on a page. */
export const titleOf = (provider: string): string =>
  known[provider] ??
  provider
    .split('-')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join(' ')

// What the settings call the pages: the daemon writes it into the page, so that nothing flickers.

const meta = (name: string): string => document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? ''

export const brand = { name: meta('application-name') || 'Fantail', logo: meta('fantail-logo') === 'true' }

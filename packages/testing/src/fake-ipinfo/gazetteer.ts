/** Where addresses may lie: capitalised facts of real places, so that records look like IPinfo's. */
export interface Place {
  readonly city: string
  readonly region: string
  readonly regionCode: string
  readonly countryCode: string
  readonly latitude: number
  readonly longitude: number
  readonly timezone: string
  readonly geonameId: string
  /** Undefined where IPinfo knows none. */
  readonly postal: string | undefined
}

/** Who may run a network. */
export interface Operator {
  readonly asn: number
  readonly name: string
  readonly domain: string
  readonly type: 'isp' | 'hosting' | 'business' | 'education'
  readonly countryCode: string
  readonly registry: string
  /** The day of allocation, ISO 8601. */
  readonly allocated: string
  /** Its mobile network, if it has one. */
  readonly mobile: Carrier | undefined
}

/** A mobile network with its country and network codes (ITU-T E.212). */
export interface Carrier {
  readonly name: string
  readonly mcc: string
  readonly mnc: string
}

export const countries: Readonly<Record<string, { readonly name: string; readonly continent: string }>> = {
  AR: { name: 'Argentina', continent: 'SA' },
  AU: { name: 'Australia', continent: 'OC' },
  BR: { name: 'Brazil', continent: 'SA' },
  CA: { name: 'Canada', continent: 'NA' },
  DE: { name: 'Germany', continent: 'EU' },
  FR: { name: 'France', continent: 'EU' },
  GB: { name: 'United Kingdom', continent: 'EU' },
  IN: { name: 'India', continent: 'AS' },
  JP: { name: 'Japan', continent: 'AS' },
  KE: { name: 'Kenya', continent: 'AF' },
  SE: { name: 'Sweden', continent: 'EU' },
  SG: { name: 'Singapore', continent: 'AS' },
  US: { name: 'United States', continent: 'NA' },
  ZA: { name: 'South Africa', continent: 'AF' },
}

export const continents: Readonly<Record<string, string>> = {
  AF: 'Africa',
  AS: 'Asia',
  EU: 'Europe',
  NA: 'North America',
  OC: 'Oceania',
  SA: 'South America',
}

// City, region, its code, country, latitude, longitude, time zone, GeoNames id, postal code.
type PlaceRow = readonly [string, string, string, string, number, number, string, string, string?]

const placeRows: readonly PlaceRow[] = [
  ['Mountain View', 'California', 'CA', 'US', 37.4056, -122.0775, 'America/Los_Angeles', '5375480', '94043'],
  ['Brisbane', 'Queensland', 'QLD', 'AU', -27.4816, 153.0175, 'Australia/Brisbane', '2174003', '4101'],
  ['Ashburn', 'Virginia', 'VA', 'US', 39.0437, -77.4875, 'America/New_York', '4744870', '20147'],
  ['Chicago', 'Illinois', 'IL', 'US', 41.85, -87.65, 'America/Chicago', '4887398', '60666'],
  ['Toronto', 'Ontario', 'ON', 'CA', 43.7064, -79.3986, 'America/Toronto', '6167865', 'M4S'],
  ['São Paulo', 'São Paulo', 'SP', 'BR', -23.5475, -46.6361, 'America/Sao_Paulo', '3448439', '01000-000'],
  ['Buenos Aires', 'Buenos Aires F.D.', 'C', 'AR', -34.6132, -58.3772, 'America/Argentina/Buenos_Aires', '3435910'],
  ['London', 'England', 'ENG', 'GB', 51.5085, -0.1257, 'Europe/London', '2643743', 'EC1A'],
  ['Paris', 'Île-de-France', 'IDF', 'FR', 48.8534, 2.3488, 'Europe/Paris', '2988507', '75000'],
  ['Frankfurt am Main', 'Hesse', 'HE', 'DE', 50.1155, 8.6842, 'Europe/Berlin', '2925533', '60306'],
  ['Stockholm', 'Stockholm', 'AB', 'SE', 59.3294, 18.0687, 'Europe/Stockholm', '2673730', '100 04'],
  ['Nairobi', 'Nairobi Area', '30', 'KE', -1.2833, 36.8167, 'Africa/Nairobi', '184745'],
  ['Cape Town', 'Western Cape', 'WC', 'ZA', -33.9258, 18.4232, 'Africa/Johannesburg', '3369157', '7100'],
  ['Mumbai', 'Maharashtra', 'MH', 'IN', 19.0728, 72.8826, 'Asia/Kolkata', '1275339', '400017'],
  ['Singapore', 'Singapore', '01', 'SG', 1.2897, 103.8501, 'Asia/Singapore', '1880252', '018989'],
  ['Tokyo', 'Tokyo', '13', 'JP', 35.6895, 139.6917, 'Asia/Tokyo', '1850147', '101-8656'],
]

export const places: readonly Place[] = placeRows.map(
  ([city, region, regionCode, countryCode, latitude, longitude, timezone, geonameId, postal]) => ({
    city,
    region,
    regionCode,
    countryCode,
    latitude,
    longitude,
    timezone,
    geonameId,
    postal,
  }),
)

// AS number, name, domain, type, country, registry, day of allocation, mobile network (name, MCC, MNC).
type OperatorRow = readonly [
  number,
  string,
  string,
  Operator['type'],
  string,
  string,
  string,
  (readonly [string, string, string])?,
]

const operatorRows: readonly OperatorRow[] = [
  [15169, 'Google LLC', 'google.com', 'hosting', 'US', 'arin', '2000-03-30'],
  [13335, 'Cloudflare, Inc.', 'cloudflare.com', 'hosting', 'US', 'arin', '2010-07-14'],
  [16509, 'Amazon.com, Inc.', 'amazon.com', 'hosting', 'US', 'arin', '2000-05-04'],
  [24940, 'Hetzner Online GmbH', 'hetzner.com', 'hosting', 'DE', 'ripe', '2002-06-03'],
  [7922, 'Comcast Cable Communications, LLC', 'comcast.com', 'isp', 'US', 'arin', '1997-02-14'],
  [3320, 'Deutsche Telekom AG', 'telekom.de', 'isp', 'DE', 'ripe', '1993-01-01'],
  [2856, 'British Telecommunications PLC', 'bt.com', 'isp', 'GB', 'ripe', '1993-09-01'],
  [577, 'Bell Canada', 'bell.ca', 'isp', 'CA', 'arin', '1991-02-04', ['Bell Mobility', '302', '610']],
  [2516, 'KDDI CORPORATION', 'kddi.com', 'isp', 'JP', 'apnic', '1993-02-09', ['au', '440', '51']],
  [55836, 'Reliance Jio Infocomm Limited', 'jio.com', 'isp', 'IN', 'apnic', '2010-05-28', ['Jio', '405', '857']],
  [33771, 'Safaricom Limited', 'safaricom.co.ke', 'isp', 'KE', 'afrinic', '2004-12-09', ['Safaricom', '639', '02']],
  [7018, 'AT&T Enterprises, LLC', 'att.com', 'isp', 'US', 'arin', '1996-07-30'],
  [3, 'Massachusetts Institute of Technology', 'mit.edu', 'education', 'US', 'arin', '1984-01-01'],
  [714, 'Apple Inc.', 'apple.com', 'business', 'US', 'arin', '1993-01-11'],
]

export const operators: readonly Operator[] = operatorRows.map(
  ([asn, name, domain, type, countryCode, registry, allocated, carrier]) => ({
    asn,
    name,
    domain,
    type,
    countryCode,
    registry,
    allocated,
    mobile: carrier && { name: carrier[0], mcc: carrier[1], mnc: carrier[2] },
  }),
)

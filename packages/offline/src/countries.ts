/**
 * Names and continents of countries as IPinfo writes them, by ISO 3166-1 alpha-2 code.
 *
 * The base is CLDR (`Intl.DisplayNames`), with `&` and `St.` written out. Where IPinfo writes something else, the
 * table below says so. `seen` were read in IPinfo's published sample databases (github.com/ipinfo/sample-database):
 * certain. `fromSdk` are from the table that its SDKs ship (github.com/ipinfo/python, `data.py`), which is older than
 * the data: likely. Its names of countries that were renamed since (Swaziland, Macedonia, Czech Republic, Cape Verde)
 * are left out, because the samples show that the data follows such changes.
 */

const seen = {
  CD: 'Democratic Republic of the Congo',
  CV: 'Cabo Verde',
  HK: 'Hong Kong',
  VA: 'Vatican',
}

const fromSdk = {
  AX: 'Aland Islands',
  BL: 'Saint Barthelemy',
  BQ: 'Bonaire, Saint Eustatius and Saba',
  CC: 'Cocos Islands',
  CG: 'Republic of the Congo',
  CI: 'Ivory Coast',
  CW: 'Curacao',
  GS: 'South Georgia and the South Sandwich Islands',
  HM: 'Heard Island and McDonald Islands',
  MM: 'Myanmar',
  MO: 'Macao',
  PN: 'Pitcairn',
  PS: 'Palestinian Territory',
  RE: 'Reunion',
  ST: 'Sao Tome and Principe',
  TR: 'Turkey',
  UM: 'United States Minor Outlying Islands',
  VC: 'Saint Vincent and the Grenadines',
}

const ownNames = new Map(Object.entries({ ...fromSdk, ...seen }))

/** Continents by IPinfo's table (the same `data.py`); Kosovo (XK) is no ISO code, yet IPinfo uses it. */
const continents = [
  {
    code: 'AF',
    name: 'Africa',
    countries:
      'AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU MW MZ NA ' +
      'NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW',
  },
  { code: 'AN', name: 'Antarctica', countries: 'AQ BV GS HM TF' },
  {
    code: 'AS',
    name: 'Asia',
    countries:
      'AE AF AM AZ BD BH BN BT CC CN CX GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV MY NP ' +
      'OM PH PK PS QA SA SG SY TH TJ TM TR TW UZ VN YE',
  },
  {
    code: 'EU',
    name: 'Europe',
    countries:
      'AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME ' +
      'MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK',
  },
  {
    code: 'NA',
    name: 'North America',
    countries:
      'AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM PR SV SX TC ' +
      'TT US VC VG VI',
  },
  {
    code: 'OC',
    name: 'Oceania',
    countries: 'AS AU CK FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TL TO TV UM VU WF WS',
  },
  { code: 'SA', name: 'South America', countries: 'AR BO BR CL CO EC FK GF GY PE PY SR UY VE' },
] as const

/** A country in the words of an IPinfo Lite answer. */
export interface Country {
  readonly country_code: string
  readonly country: string
  readonly continent_code: string
  readonly continent: string
}

let ready: ReadonlyMap<string, Country> | undefined

/**
 * Every country, ready-made, so that a look-up creates no text. They are made at the first call, because
 * `Intl.DisplayNames` takes 8 MB (Node 26.10.0), and a replica that has keys looks nothing up here.
 */
export function countries(): ReadonlyMap<string, Country> {
  return (ready ??= allCountries())
}

function allCountries(): ReadonlyMap<string, Country> {
  const cldrNames = new Intl.DisplayNames(['en'], { type: 'region' })
  return new Map(
    continents.flatMap((continent) =>
      continent.countries.split(' ').map((code): [string, Country] => [
        code,
        Object.freeze({
          country_code: code,
          country: ownNames.get(code) ?? plainName(cldrNames.of(code) ?? code),
          continent_code: continent.code,
          continent: continent.name,
        }),
      ]),
    ),
  )
}

function plainName(name: string): string {
  return name.replaceAll('&', 'and').replaceAll('St.', 'Saint')
}

import type { Request, Response } from 'express'
import type { Report } from './report-page.ts'

/** Sends a report as a page, or as JSON to who asks for `.json` or prefers it. */
export async function sendReport(req: Request, res: Response, report: Report): Promise<void> {
  // Most processes never send one: the map takes some megabytes.
  const { reportHeaders, reportPage } = await import('./report-page.ts')
  res.set(reportHeaders).vary('Accept')
  if (req.path.endsWith('.json') || req.accepts(['html', 'json']) === 'json') {
    res.type('json').send(JSON.stringify(report.summary))
  } else res.send(reportPage(report))
}

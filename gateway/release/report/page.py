"""A report as one HTML file: no scripts, nothing loaded from anywhere, all text escaped."""

from __future__ import annotations

from gateway.release.report.model import Report
from gateway.release.report.plots import ratio_plot, weight_plot
from gateway.release.report.tables import Table, moment, tables
from gateway.release.report.text import safe

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2330;--dim:#5c6675;--line:#d5dae1;--page:#fff;--plan:#8a94a3;
--now:#0b6bcb;--mark:#c2410c}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--dim:#9aa4b2;--line:#333c4a;--page:#12161d;
--plan:#77818f;--now:#5aa9f7;--mark:#fb923c}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);margin:2rem auto;
max-width:70rem;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2rem}
.outcome{font-size:1.1rem;font-weight:600}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top;
overflow-wrap:anywhere}th{color:var(--dim);font-weight:600}
svg{width:100%;height:auto;font:11px system-ui,sans-serif}svg text{fill:var(--dim)}
.grid{stroke:var(--line)}.one{stroke:var(--dim)}
.planned{fill:none;stroke:var(--plan);stroke-dasharray:5 4;stroke-width:1.5}
.actual{fill:none;stroke:var(--now);stroke-width:2.5}
.decision{fill:var(--mark)}.estimate{fill:var(--now)}.interval{stroke:var(--now);stroke-width:3}
footer,.key{color:var(--dim);font-size:.85rem}
""".strip().replace("\n", "")


def render(report: Report) -> str:
    """The whole page."""
    title = safe(f"Release of {report.candidate} on {report.route}")
    ratios = ratio_plot(report)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">",
        f"<title>{title}</title><style>{_STYLE}</style></head><body>",
        f'<h1>{title}</h1><p class="outcome">{safe(report.outcome)}</p>',
        "<h2>Weight over time</h2>",
        weight_plot(report),
        '<p class="key">Dashed: the plan at its fastest. Solid: what was. Dots: decisions.</p>',
    ]
    if ratios:
        parts += [
            "<h2>Candidate over stable</h2>",
            ratios,
            '<p class="key">1 = equal; an interval that leaves out 1 shows a difference.</p>',
        ]
    parts += [_table(table) for table in tables(report)]
    made = f"Release {safe(report.release_id)}, written {moment(report.made_at)} UTC."
    return "".join([*parts, f"<footer><p>{made}</p></footer></body></html>\n"])


def _table(table: Table) -> str:
    head = "".join(f"<th>{safe(name)}</th>" for name in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{safe(cell)}</td>' for cell in row)}</tr>" for row in table.rows
    )
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<h2>{safe(table.heading)}</h2><div class="wide">{body}</div>'

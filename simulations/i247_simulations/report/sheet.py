"""Frame a page: one file that asks nothing of any network, for screens and paper, light and dark. Pure."""

from __future__ import annotations

from typing import Final

from i247_simulations.report.markup import NOTHING, Markup, esc, joined, tag


def page(title: str, *body: Markup) -> str:
    """Return a whole page."""
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("title", esc(title)),
        tag("style", Markup(STYLE)),
    )
    main = tag("main", *body)
    script = tag("script", Markup(SCRIPT))
    whole = tag("html", tag("head", *head), tag("body", main, script), lang="en")
    return f"<!doctype html>\n{whole}\n"


def section(name: str, title: str, *inside: Markup) -> Markup:
    """Return one part of a page."""
    return tag("section", tag("h2", esc(title), id=name), *inside, aria_labelledby=name)


def para(words: str, kind: str | None = None) -> Markup:
    """Return a paragraph."""
    return tag("p", esc(words), class_=kind)


def command(words: str) -> Markup:
    """Return a command line that can be copied; none for no words."""
    return tag("div", tag("code", esc(words)), class_="command") if words else NOTHING


def tiles(facts: list[tuple[str, str, str]]) -> Markup:
    """Return a few facts at a glance: (value, what it is, more)."""
    made = [
        tag("div", tag("dt", esc(what)), tag("dd", esc(value)), tag("dd", esc(more), class_="more"), class_="tile")
        for value, what, more in facts
    ]
    return tag("dl", *made, class_="tiles")


def banner(word: str, title: str, under: str, kind: str) -> Markup:
    """Return the verdict, of a kind in `MARKS`; its mark and words say the same as its colour."""
    mark = tag("span", esc(MARKS[kind]), class_="mark", aria_hidden="true") if MARKS[kind] else NOTHING
    head = tag("h1", mark, tag("span", esc(title)))
    return tag("header", tag("p", esc(word), class_="eyebrow"), head, tag("p", esc(under)), class_=f"verdict {kind}")


def stack(*parts: Markup) -> Markup:
    """Return parts one below another."""
    return joined(parts, "\n")


MARKS: Final = {"good": "✓", "bad": "✗", "unsure": "?", "plain": ""}
# Inline style and script are the page's own; nothing is fetched from anywhere.
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
SCRIPT: Final = """
for (const box of document.querySelectorAll('.command')) {
  const button = document.createElement('button');
  button.type = 'button'; button.textContent = 'Copy';
  button.addEventListener('click', async () => {
    try { await navigator.clipboard.writeText(box.querySelector('code').textContent); button.textContent = 'Copied'; }
    catch { getSelection().selectAllChildren(box.querySelector('code')); }
  });
  box.append(button);
}
"""
STYLE: Final = """
:root{--paper:#fcfcfa;--card:#f3f4f1;--ink:#1b2330;--soft:#566070;--fine:#d9dcd8;--accent:#0b5cad;
--good:#0f6b43;--good-bg:#e4f4ec;--bad:#a3201a;--bad-bg:#fbe9e7;--unsure:#7a5200;--unsure-bg:#faf1dc;
--s0:#0b62b0;--s1:#c2500a;--s2:#047a58;--s3:#a33f87;--s4:#8a6a00;--s5:#4a5bd0;--heat:#0b4f94;--land:#e3e5df;--sea:#f4f7f9}
@media (prefers-color-scheme:dark){:root{--paper:#11161d;--card:#1a212b;--ink:#e8ebef;--soft:#a7b0bd;--fine:#313b48;
--accent:#7cb8f5;--good:#6fd3a2;--good-bg:#12291f;--bad:#ff9a90;--bad-bg:#351714;--unsure:#f0c265;--unsure-bg:#2e2410;
--s0:#6db3f2;--s1:#ff9f5f;--s2:#4fd0a5;--s3:#ea97cf;--s4:#e3c04f;--s5:#a5b1ff;--heat:#8cc6ff;--land:#2a333f;--sea:#151c25}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:960px;margin:0 auto;padding:24px 20px 64px}
h1{font-size:1.75rem;line-height:1.2;margin:.1em 0 .35em;display:flex;gap:.45em}
h2{font-size:1.28rem;line-height:1.3;margin:2.4em 0 .3em;padding-top:.9em;border-top:1px solid var(--fine)}
h3{font-size:1rem;margin:1.4em 0 .3em}
p{margin:.4em 0 .8em;max-width:68ch;overflow-wrap:anywhere}
a{color:var(--accent)}
.soft,figcaption,.eyebrow{color:var(--soft)}figcaption,.small{font-size:.9rem}
.eyebrow{font-size:.85rem;letter-spacing:.04em;margin:0;max-width:none}
.verdict{border-left:6px solid;border-radius:4px;padding:16px 20px 10px;margin-bottom:14px}
.verdict p{color:var(--ink)}.verdict .eyebrow{color:var(--soft)}
.plain{border-color:var(--accent);background:var(--card)}
.good{border-color:var(--good);background:var(--good-bg)}.good .mark{color:var(--good)}
.bad{border-color:var(--bad);background:var(--bad-bg)}.bad .mark{color:var(--bad)}
.unsure{border-color:var(--unsure);background:var(--unsure-bg)}.unsure .mark{color:var(--unsure)}
.command{display:flex;gap:10px;align-items:center;background:var(--card);border-radius:4px;padding:8px 12px;margin:0 0 14px}
.command code{flex:1;overflow-wrap:anywhere}
code{font:.9rem/1.5 ui-monospace,"Cascadia Mono",Menlo,Consolas,monospace}
button{font:inherit;font-size:.85rem;color:var(--accent);background:none;border:1px solid var(--fine);border-radius:4px;padding:2px 10px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:18px 0}
.tile{background:var(--card);border-radius:4px;padding:10px 14px;display:flex;flex-direction:column}
.tile dt{font-size:.85rem;color:var(--soft)}.tile dd{margin:0;font-size:1.5rem;font-weight:600;font-variant-numeric:tabular-nums}
.tile .more{font-size:.85rem;font-weight:400;color:var(--soft)}
nav ul{display:flex;flex-wrap:wrap;gap:2px 18px;padding:0;margin:10px 0 0;list-style:none;font-size:.92rem}
figure{margin:14px 0 4px}
svg{display:block;width:100%;height:auto}
figure .narrow{display:none;max-width:540px}
.legend{display:flex;flex-wrap:wrap;gap:2px 18px;padding:0;margin:0 0 4px;list-style:none;font-size:.9rem}
.legend li{display:flex;align-items:center;gap:7px}.legend svg{width:26px;height:10px}
svg text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--ink)}
svg .tick{font-size:12px;fill:var(--soft)}svg .halo{stroke:var(--sea);stroke-width:3px;paint-order:stroke;font-weight:600}
.rule{stroke:var(--soft);stroke-width:1}.grid{stroke:var(--fine);stroke-width:1}
.phase{fill:var(--card)}.phase0{fill-opacity:0}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.solid{stroke-dasharray:none}
.area{stroke:none;fill-opacity:.18}
.c0{stroke:var(--s0)}.c1{stroke:var(--s1);stroke-dasharray:7 4}.c2{stroke:var(--s2);stroke-dasharray:2 4}
.c3{stroke:var(--s3);stroke-dasharray:9 3 2 3}.c4{stroke:var(--s4);stroke-dasharray:12 5}.c5{stroke:var(--s5);stroke-dasharray:4 2}
.f0{fill:var(--s0)}.f1{fill:var(--s1)}.dot{stroke:none}.dot.c0{fill:var(--s0)}.dot.c1{fill:var(--s1)}
.heat{fill:var(--heat)}.cellbed{fill:var(--card)}
.land{fill:var(--land)}.sea{fill:var(--sea)}
.tie{fill:none;stroke:var(--soft);stroke-opacity:.35;stroke-width:.7}
.flow{fill:none;stroke:var(--s0);stroke-opacity:.5;stroke-linecap:round}
.member{fill:var(--soft)}.hub{fill:var(--s1);stroke:var(--paper);stroke-width:1.5}
.fault{fill:var(--s1)}.bar{fill:var(--s0)}.breach{stroke:var(--bad);stroke-width:2}
.scroll{overflow-x:auto;margin:8px 0 14px}
table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums;min-width:min(100%,480px)}
caption{text-align:left;color:var(--soft);font-size:.9rem;padding-bottom:4px}
th,td{padding:4px 14px 4px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--fine)}
td{overflow-wrap:anywhere}td.number{overflow-wrap:normal}th{font-weight:600}tbody th{font-weight:400}.number{text-align:right}tbody td.number,tbody th{white-space:nowrap}.causes tbody th,.wordy tbody th{white-space:normal}
.causes table{width:100%;table-layout:fixed}.causes th:nth-child(2),.causes td:nth-child(2){width:150px}
.causes th:nth-child(n+3),.causes td:nth-child(n+3){width:8.5em}
.meter{display:inline-block;height:.62em;background:var(--s0);border-radius:1px;min-width:2px;vertical-align:baseline}
.held{color:var(--good)}.broken{color:var(--bad);font-weight:600}
details{margin:6px 0 10px}summary{cursor:pointer;color:var(--accent);font-size:.92rem}
.life{list-style:none;margin:12px 0;padding:0}
.life li{display:grid;grid-template-columns:6.2em 1fr;gap:0 16px}
.life .when{text-align:right;color:var(--soft);font-variant-numeric:tabular-nums;padding:5px 0}
.life .what{border-left:2px solid var(--fine);padding:5px 0 5px 16px;position:relative;overflow-wrap:anywhere}
.life .what::before{content:"";position:absolute;left:-5px;top:.95em;width:8px;height:8px;border-radius:50%;background:var(--s0)}
.life .wait .what{color:var(--unsure);border-left-style:dashed}.life .wait .what::before{display:none}
.life b{font-weight:600}
@media (max-width:720px){main{padding:14px 14px 48px}h1{font-size:1.4rem}figure .wide{display:none}figure .narrow{display:block}
.life li{grid-template-columns:4.6em 1fr;gap:0 10px}.verdict{padding:12px 14px 6px}th,td{padding-right:8px}.tile dd{font-size:1.25rem}
.tiles{grid-template-columns:1fr 1fr}table{font-size:.86rem}svg .halo{font-size:11px}
.promises th:nth-child(4),.promises td:nth-child(4){display:none}
.causes th:nth-child(2),.causes td:nth-child(2){display:none}.causes th:nth-child(n+3),.causes td:nth-child(n+3){width:5.4em}}
@media print{:root{--paper:#fff;--card:#f3f4f1;--ink:#000;--soft:#444;--fine:#ccc;--accent:#000;--land:#e3e5df;--sea:#fff;
--good:#0f6b43;--good-bg:#fff;--bad:#a3201a;--bad-bg:#fff;--unsure:#7a5200;--unsure-bg:#fff;--s0:#0b62b0;--s1:#c2500a;
--s2:#047a58;--s3:#a33f87;--s4:#8a6a00;--s5:#4a5bd0;--heat:#0b4f94}
body{font-size:11pt}main{max-width:none;padding:0}nav,button{display:none}figure,.tile,tr,.life li{break-inside:avoid}
h2,h3{break-after:avoid}.scroll{overflow:visible}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""

"""Name the 196 members with the hub of the regional bureau that each belongs to (Lyon for those that have none).

Taken from the public list of INTERPOL's members and regional bureaus; a planner's starting point, no statement about
any country's real connections. The Secretariat, `XP`, is at Lyon too.
"""

from __future__ import annotations

from typing import Final

BUREAUS: Final[dict[str, str]] = {
    "abidjan": "BF BJ CI CV GH GM GN GW LR ML MR NE NG SL SN TG",
    "bangkok": (
        "AF AU BD BN BT CN FJ FM ID IN IR JP KG KH KI KR KZ LA LK MH MM MN MV MY NP NR NZ PG PH PK PW SB SG "
        "TH TJ TL TM TO UZ VN VU WS"
    ),
    "buenos-aires": "AR BO BR CL CO EC GY PE PY SR UY VE",
    "harare": "AO BW LS MG MU MW MZ NA SZ ZA ZM ZW",
    "lyon": (
        "AD AE AL AM AT AZ BA BE BG BH BY CA CH CY CZ DE DK DZ EE EG ES FI FR GB GE GR HR HU IE IL IQ IS IT "
        "JO KW LB LI LT LU LV LY MA MC MD ME MK MT NL NO OM PL PS PT QA RO RS RU SA SE SI SK SM SY TN TR UA "
        "US VA XP YE"
    ),
    "nairobi": "BI DJ ER ET KE KM RW SC SD SO SS TZ UG",
    "san-salvador": "AG AW BB BS BZ CR CU CW DM DO GD GT HN HT JM KN LC MX NI PA SV SX TT VC",
    "yaounde": "CD CF CG CM GA GQ ST TD",
}
"""Hub, and the codes of the members at home there."""

"""What stands on plates: groups of characters by country pattern, and small print.

A pattern is a list of groups; in a group L is a letter, D a digit, X either.
"""

from __future__ import annotations

import random

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"

SK = ["BA", "BB", "BJ", "BL", "BN", "BS", "BY", "CA", "DK", "DS", "DT", "GA", "GL", "HC", "HE", "IL", "KA", "KE",
      "KK", "KM", "KN", "KS", "LC", "LE", "LM", "LV", "MA", "MI", "ML", "MT", "MY", "NM", "NO", "NR", "NZ", "PB",
      "PD", "PE", "PK", "PN", "PO", "PP", "PT", "PU", "RA", "RK", "RS", "RV", "SA", "SB", "SC", "SE", "SI", "SK",
      "SL", "SN", "SO", "SP", "SV", "TN", "TO", "TR", "TS", "TT", "TV", "VK", "VT", "ZA", "ZC", "ZH", "ZM", "ZV"]

# country code -> weighted patterns
EU: dict[str, list[str]] = {
    "SK": ["LL DDDLL", "LL DDDLL", "LL DDDLL", "LL DDDDL", "LL XXXXX"],
    "CZ": ["DLD DDDD", "DLD DDDD", "LLL DD-DD", "LLL DDDD", "DLX DDDD"],
    "D": ["L LL D", "L L DDDD", "L LL DD", "LL L DDD", "LL LL DDD", "LLL L DD", "LLL LL DD", "LL LL DDDD", "L LL DDDD"],
    "A": ["L DDDDDL", "LL DDDLL", "L DDDDLL", "LL DDDL", "L DDDDDD"],
    "PL": ["LL DDDDD", "LLL DDDD", "LLL DDLL", "LL DDDDL", "LLL LDDD", "LL DDDLL", "LLL XXXX"],
    "N": ["LL DDDDD"], "H": ["LLL DDD", "LLL-DDD"], "NL": ["LL-DD-LL", "DD-LL-LL", "DD-LLL-D", "D-LLL-DD", "LL-DDD-L"],
    "F": ["LL-DDD-LL", "DDDD LL DD", "DDD LLL DD"], "I": ["LL DDDLL", "LL DDDDDD"], "E": ["DDDD LLL", "L DDDD LL"],
    "GB": ["LLDD LLL", "LDDD LLL", "LLL DDDL"], "HR": ["LL DDD-LL", "LL DDDD-L"], "SLO": ["LL LL-DDD", "LL DD-LLL"],
    "CH": ["LL DDDDDD", "LL DDDDD"], "RO": ["LL DD LLL", "L DDD LLL"], "BG": ["LL DDDD LL", "L DDDD LL"],
    "B": ["LLL-DDD", "D-LLL-DDD", "DDD-LLL"], "S": ["LLL DDD"], "FIN": ["LLL-DDD"], "DK": ["LL DD DDD"],
    "P": ["DD-LL-DD", "LL-DD-DD", "DD-DD-LL"], "UA": ["LL DDDD LL"], "LT": ["LLL DDD"], "EST": ["DDD LLL"],
    "L": ["LL DDDD", "DDDDD"], "GR": ["LLL-DDDD"], "IRL": ["DD-L-DDDDD", "DDD-L-DDDD"],
}
_EU_WEIGHT = {"SK": 12, "CZ": 9, "D": 7, "PL": 4, "A": 4, "N": 2, "F": 2, "I": 2, "GB": 2, "NL": 2, "H": 2}

US = ["LLD LDL"] * 10 + ["DLLLDDD"] * 8 + ["LLL DDDD"] * 5 + ["LLD LDDD"] * 2 + ["LLL DDD"] * 5 + ["DDD LLL"] * 5 + [
    "LLLDDDD", "LLL-DDDD", "DDDD LL", "DDDDDDD", "LDD DDDD", "LDD DDDD", "DDD DDDD", "DDDDDDLD", "DLDDDDD", "DLDDDDD",
    "DDDDDLD", "LDDDDDD", "LL DDDD", "LL-DDDD", "DDDLL", "LLDDDL", "DDLLLD", "LLLDDL", "LLDDDDD", "LLL DDL", "LDD LLL",
    "DD LLL", "LDLLDD", "DDLLDD", "LLDDLL", "DLLDDD", "LLLL", "LLLLL", "LLLLLL", "LLLLLLL", "LLL LL", "LL LLLL",
    "LLLLD", "LLLDD", "XXX XXX", "XXXXXXX", "XXXXXX", "XXX XXXX", "XXXXX", "DDD LL", "LDDDL", "DDDD DDD", "LDDDDD",
    "DDDDDL", "DLLLDDD", "LLL DDD", "XXXX-XX"]
BR_OLD = ["LLL·DDDD"]
BR_NEW = ["LLLDLDD"]
GENERIC = ["LL DDDD", "DDD LLL", "XXXX XXX", "XXXXXX", "LDD DDD", "DDLLDD", "LLLL", "DDDDDD", "XXX-XXX", "XX XXX XX",
           "LLDDLLDDDD", "XXXXXXXX"]

US_HEADERS = ["MISSOURI", "Missouri", "California", "California", "CALIFORNIA", "TEXAS", "TEXAS", "FLORIDA", "Illinois",
              "ILLINOIS", "NEW YORK", "ARIZONA", "Arizona", "New Jersey", "INDIANA", "Indiana", "OHIO", "MICHIGAN",
              "Pennsylvania", "GEORGIA", "Kansas", "KANSAS", "OKLAHOMA", "Arkansas", "ARKANSAS", "TENNESSEE", "IOWA",
              "NEBRASKA", "Virginia", "MARYLAND", "Colorado", "UTAH", "Oregon", "WASHINGTON", "NEVADA", "Alabama",
              "KENTUCKY", "WISCONSIN", "Minnesota", "SOUTH CAROLINA", "NORTH CAROLINA", "LOUISIANA", "New Mexico",
              "MASSACHUSETTS", "Connecticut", "WASHINGTON, DC", "IDAHO", "Montana", "HAWAII", "MAINE", "Ontario"]
SLOGANS = ["SHOW-ME STATE", "Show-Me State", "The Lone Star State", "SUNSHINE STATE", "Land of Lincoln",
           "GRAND CANYON STATE", "THE EMPIRE STATE", "Garden State", "GREAT LAKES", "First in Flight", "dmv.ca.gov",
           "The Natural State", "Famous Potatoes", "LIVE FREE OR DIE", "VEHICLE MFR", "Birthplace of Aviation",
           "IN GOD WE TRUST", "Peach State", "Heart of Dixie", "MY FLORIDA.COM"]
_AD_WORDS = ["AUTO", "MOTORS", "CARS", "SALES", "DEALER", "CENTER", "GROUP", "HONDA", "FORD", "CITY", "MOBIL", "SERVIS",
             "SERVICE", "BANK", "PARK", "STAR", "ELITE", "LEASING", "RACING", "TEAM", "USED", "VALLEY", "HOUSE", "SON",
             "BROS", "INC.", "LTD", "GMBH", "PLAZA", "WEST", "NORTH", "IMPORTS", "TRUCKS", "SHOP", "WORLD", "ENGINEERS",
             "ALUMNI", "LEGENDS", "VENTA", "LINE", "EXPRESS", "SPORT", "MARINE", "COLLEGE", "STATE", "TIGERS"]
BR_CITIES = ["BA-SALVADOR", "SP-SAO PAULO", "RJ-RIO DE JANEIRO", "MG-BELO HORIZONTE", "ES-VITORIA", "DF-BRASILIA",
             "GO-GOIANIA", "PR-CURITIBA", "ES-VILA VELHA", "BA-CAMACARI", "SC-JOINVILLE", "RS-PORTO ALEGRE",
             "PE-RECIFE", "CE-FORTALEZA", "MG-UBERLANDIA", "SP-CAMPINAS", "BRASIL", "AM-MANAUS", "PA-BELEM"]


def fill(pattern: str, rng: random.Random) -> str:
    out = []
    for p in pattern:
        if p == "L":
            out.append(rng.choice(LETTERS))
        elif p == "D":
            out.append(rng.choice(DIGITS))
        elif p == "X":
            out.append(rng.choice(LETTERS + DIGITS))
        else:
            out.append(p)
    return "".join(out)


def eu_text(rng: random.Random) -> tuple[str, str]:
    """A country code and the text with its separators."""
    codes = list(EU)
    if rng.random() < 0.12:
        return rng.choice(codes), fill(rng.choice(GENERIC), rng)
    code = rng.choices(codes, [_EU_WEIGHT.get(c, 1) for c in codes])[0]
    pattern = rng.choice(EU[code])
    text = fill(pattern, rng)
    if code == "SK" and rng.random() < 0.7:
        text = rng.choice(SK) + text[2:]
    return code, text


def advert(rng: random.Random) -> str:
    r = rng.random()
    if r < 0.2:
        return f"({rng.randint(200, 999)}) {rng.randint(200, 999)}-{rng.randint(1000, 9999)}"
    if r < 0.3:
        return rng.choice(["www.", ""]) + rng.choice(_AD_WORDS).lower() + rng.choice([".com", ".sk", ".cz", ".de"])
    words = " ".join(rng.choice(_AD_WORDS) for _ in range(rng.choice([1, 1, 2, 2, 3])))
    return words.title() if rng.random() < 0.25 else words


def plain(text: str) -> str:
    """The label: no blanks, dashes or dots."""
    return "".join(c for c in text if c in LETTERS or c in DIGITS)

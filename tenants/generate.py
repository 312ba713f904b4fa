#!/usr/bin/env python3
"""Prints CSV files for the sample tenants: any number of rows, the same rows for the same seed.

a: speeds of optical network units (ONU). About 66 bytes a row. Each row is a measurement of a unit: 94 of 100 rows
   measure a unit that was not measured before, the rest one of those before (any of them), so 2,000,000 rows have about
   1.88 million primary keys, in no order. Above 16,777,216 new units they come again. TIME is the serial number of a row:
   2026-01-01 00:00:00 plus one second for each row.
b: product reviews, about 220 bytes a row, with what real files hold: cells in quotes, doubled quotes, delimiters, tabs and
   line ends (LF and CRLF) within quotes, text that is not ASCII, empty cells. One row in 20 is a review from before,
   edited: the same primary key, other text. review_body ends with the serial number of the row, as in "[17]", from 1.

No row repeats another as a whole, whatever its key.

examples:
  tenants/generate.py a --rows 2000 --seed 1 --output tenants/client_a/sample.csv    # the sample of tenant A
  tenants/generate.py b --rows 1000 --seed 1 --output tenants/client_b/sample.csv    # the sample of tenant B
  tenants/generate.py a --rows 2000000 --seed 7 > speeds.csv                         # 130 MB
"""
import argparse
import datetime
import random
import sys

ROWS_AT_ONCE = 5000

A_COLUMNS = "PROVINCECODE,DEVICEID,IFINDEX,FRAME,SLOT,PORT,ONUINDEX,ONUID,TIME,SPEEDIN,SPEEDOUT"
A_PROVINCES = ("HNI", "HCM", "DNG", "HPG", "CTO", "KHA", "LDG", "QNH", "NAN", "THA", "BDG", "DNI")
A_START = datetime.datetime(2026, 1, 1)
UNIT_BITS = 24
REPEATED_A = 0.06


def unit_text(number):
    """The columns of a unit up to ONUID. An odd factor visits all numbers of 24 bits once, in no visible order."""
    number = number * 11400713 + 7919 & (1 << UNIT_BITS) - 1
    device, unit = number >> 13, number & 8191
    slot, port, index = unit >> 10, unit >> 6 & 15, unit & 63
    return (f"{A_PROVINCES[device % len(A_PROVINCES)]},{1000 + device},{285212672 + (slot << 16) + (port << 8)},"
            f"{device & 1},{slot},{port},{index},{10000 + unit}")


def speed_texts(rng):
    """Many units are idle, most are slow, a few are fast."""
    speeds = ["0.0"] * 400
    speeds += [f"{rng.random() ** 3 * 100:.2f}" for _ in range(2900)]
    speeds += [f"{100 + rng.random() * 800:.1f}" for _ in range(796)]
    return speeds


def rows_of_a(rows, rng):
    yield A_COLUMNS + "\n"
    speeds = speed_texts(rng)
    count, draw = len(speeds), rng.random
    clock = [f" {s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}" for s in range(86400)]
    date, new_units = "", 0
    for row in range(rows):
        second = row % 86400
        if second == 0:
            date = (A_START + datetime.timedelta(days=row // 86400)).strftime("%Y-%m-%d")
        if new_units > 0 and draw() < REPEATED_A:
            unit = int(draw() * new_units)
        else:
            unit = new_units
            new_units += 1
        yield (f"{unit_text(unit)},{date}{clock[second]},{speeds[int(draw() * count)]},"
               f"{speeds[int(draw() * count)]}\n")


B_COLUMNS = ("marketplace", "customer_id", "review_id", "product_id", "product_parent", "product_title",
             "product_category", "star_rating", "helpful_votes", "total_votes", "vine", "verified_purchase",
             "review_headline", "review_body", "review_date")
REPEATED_B = 0.05
B_START = datetime.date(2015, 1, 1)
MARKETPLACES = ("US", "UK", "DE", "FR", "JP")
CATEGORIES = ("Books", "Camera", "Kitchen", "Toys & Games", "Musical Instruments", "Home, Garden", "")
TITLES = ('24" Monitor Stand', "Blender, 5 Speeds", "Fahrradschloß für Kinder", "Crème brûlée Torch", "電気ケトル 1.0L",
          'The "Quiet" Keyboard', "USB Cable\t2 m", "Kettle", "Guitar Strings (6, nickel)", "Travel Mug", "")
HEADLINES = ("Great value", "Broke after a week", 'Not "waterproof"', "Très bien", "とても良い", "Five Stars", "",
             "Good, but loud", "Would buy again!", "👍👍", "größer als erwartet")
SENTENCES = ("It arrived on time.", "The box was damaged, but the contents were fine.", 'My son calls it "the robot".',
             "Works as described.", "Für den Preis völlig in Ordnung.", "音がとても静かです。", "Size:\tlarge, colour:\tred.",
             "I would not buy it again.", "Le câble est trop court.", "Battery lasts 3 hours; 5 were promised.",
             "Update after two months: still fine.", 'The manual says ""press"" twice.', "", "⭐⭐⭐ for the idea.")
JOINTS = (" ", " ", " ", "\n", "\n\n", "\r\n", ", ")


def pick(rng, values):
    return values[int(rng.random() * len(values))]


def cell(rng, text):
    """In quotes where it must be, and at times where it need not be."""
    if any(c in text for c in ',"\r\n') or (text and rng.random() < 0.1):
        return '"' + text.replace('"', '""') + '"'
    return text


def review_body(rng, serial):
    body = pick(rng, SENTENCES)
    for _ in range(int(rng.random() * 6)):
        body += pick(rng, JOINTS) + pick(rng, SENTENCES)
    return f"{body} [{serial}]"


def review_key(number, seed):
    """Columns of a review that stay when it is edited; drawn again from its number, so nothing is kept in memory."""
    rng = random.Random(seed * 1000003 + number)
    product = int(rng.random() * 100000)
    return {"marketplace": pick(rng, MARKETPLACES), "customer_id": str(10000000 + int(rng.random() * 40000000)),
            "review_id": f"R{number:09}", "product_id": f"B{product:09}", "product_parent": str(product * 7919 % 1000000007),
            "product_title": TITLES[product % len(TITLES)], "product_category": CATEGORIES[product % len(CATEGORIES)]}


def rows_of_b(rows, rng, seed):
    yield ",".join(B_COLUMNS) + "\n"
    new_reviews = 0
    for serial in range(1, rows + 1):
        if new_reviews > 0 and rng.random() < REPEATED_B:
            number = int(rng.random() * new_reviews)
        else:
            number = new_reviews
            new_reviews += 1
        total = int(rng.random() ** 4 * 200)
        review = review_key(number, seed)
        review.update(star_rating=str(1 + int(rng.random() * 5)), helpful_votes=str(int(total * rng.random())),
                      total_votes=str(total), vine=pick(rng, ("Y", "N", "N", "")), verified_purchase=pick(rng, "YN"),
                      review_headline=pick(rng, HEADLINES), review_body=review_body(rng, serial),
                      review_date=(B_START + datetime.timedelta(days=int(rng.random() * 3650))).isoformat())
        yield ",".join(cell(rng, review[name]) for name in B_COLUMNS) + "\n"


def write(rows, out):
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS_AT_ONCE:
            out.write("".join(batch).encode())
            batch.clear()
    out.write("".join(batch).encode())
    out.flush()


def rows_argument(text):
    rows = int(text)
    if rows < 0:
        raise argparse.ArgumentTypeError("at least 0")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tenant", choices=("a", "b"), help="whose rows: speeds of tenant A, reviews of tenant B")
    parser.add_argument("--rows", type=rows_argument, required=True, metavar="N", help="rows after the header")
    parser.add_argument("--seed", type=int, required=True, metavar="S", help="the same seed gives the same rows")
    parser.add_argument("--output", metavar="FILE", help="default: standard output")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    rows = rows_of_a(options.rows, rng) if options.tenant == "a" else rows_of_b(options.rows, rng, options.seed)
    try:
        if options.output is None:
            write(rows, sys.stdout.buffer)
        else:
            with open(options.output, "wb") as out:
                write(rows, out)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read has seen enough
        return 1
    except OSError as error:
        print(f"generate.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

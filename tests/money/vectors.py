"""Writes vectors.json: questions of the cost model with their answers, to 20 digits, from decimal arithmetic of
50 digits and, where the model has a closed form, from bisection. Shares no code with what it tests.

    python3 tests/money/vectors.py > tests/money/vectors.json
"""

import copy
import json
from decimal import Decimal as D
from decimal import getcontext
from itertools import product

getcontext().prec = 50
HOURS = D(730)
NEVER = D("Infinity")


def usd(amount, currency="USD"):
    return {"amount": amount, "currency": currency}


def owned(device, host=0, modules=0, supply=0, share=1, years=3, loss=1, interest=0, power=None, kwh=0.12, pue=1.3,
          hosting=0):
    return {"owned": {
        "bill": {"device": usd(device), "host": usd(host), "host_share": share, "modules": usd(modules),
                 "supply": usd(supply)},
        "writeoff": {"years": years, "loss": loss, "interest": interest},
        "power": power and {"busy": power[0], "idle": power[1], "basis": power[2] if len(power) > 2 else "measured"},
        "tariff": {"kwh": usd(kwh), "pue": pue},
        "hosting": usd(hosting)}}


def rented(hour, share=1, contract="on_demand", billing="used", interruptions=None):
    keys = ["often", "checkpoint", "every", "restart"]
    return {"rented": {"hour": usd(hour), "share": share, "contract": contract, "billing": billing,
                       "interruptions": interruptions and dict(zip(keys, interruptions))}}


def offer(way, seconds=1, units=1, utilisation=1, memory=None):
    return {"way": way, "pace": {"seconds": seconds, "units": units}, "utilisation": utilisation,
            "memory": memory and dict(zip(["gb", "gb_s"], memory))}


CARD = dict(host=6000, share=0.25, modules=900, supply=250, years=4, loss=0.3, interest=0.06, power=(420, 95), kwh=0.18,
            pue=1.35, hosting=45)
OFFERS = {
    "card": offer(owned(4300, **CARD), 0.004, 32, 0.6, (32, 1792)),
    "card-straight": offer(owned(4300, host=1500), 0.004, 32, 0.6),
    "card-full": offer(owned(4300, **CARD), 0.004, 32, 1),
    "card-loan": offer(owned(4300, **{**CARD, "interest": 0.9, "loss": 1}), 0.004, 32, 0.6),
    "card-dark": offer(owned(4300, **{**CARD, "power": None}), 0.004, 32, 0.6),
    "card-datasheet": offer(owned(4300, **{**CARD, "power": (575, 0, "datasheet")}), 0.004, 32, 0.6),
    "card-kept": offer(owned(4300, **{**CARD, "loss": 0}), 0.004, 32, 0.6),
    "accelerator": offer(owned(31905, years=5, loss=0.35, interest=0.05, power=(1730, 300, "user"), kwh=0.09, pue=1.2,
                               hosting=180), 0.0006, 32, 0.85, (80, 3350)),
    "processor": offer(owned(12984, modules=19077, supply=0, host=1500, years=5, loss=0.4, power=(560, 180), kwh=0.18,
                             pue=1.35, hosting=45), 0.055, 32, 0.6, (768, 614.4)),
    "desktop": offer(owned(649, host=700, modules=540, years=5, power=(190, 40, "user"), kwh=0.3, pue=1), 0.19, 32, 0.2),
    "instance": offer(rented(2.29), 0.0009, 32, 1, (80, 3350)),
    "instance-half": offer(rented(2.29, share=0.5), 0.0018, 32, 1),
    "instance-month": offer(rented(2.29, billing="whole"), 0.0009, 32, 0.5),
    "spot": offer(rented(0.8, contract="spot", interruptions=(0.05, 0.02, 0.5, 0.1)), 0.0009, 32, 1),
    "spot-best": offer(rented(0.8, contract="spot", interruptions=(0.05, 0.02, None, 0.1)), 0.0009, 32, 1),
    "spot-calm": offer(rented(0.8, contract="spot", interruptions=(0, 0.02, None, 0.1)), 0.0009, 32, 1),
    "reserved": offer(rented(1.3, contract="reserved", billing="whole"), 0.0009, 32, 0.7),
    "small-rent": offer(rented(0.1116), 0.4, 32, 1, (64, 40)),
    "cheap-rent": offer(rented(0.02), 0.0009, 32, 1),
    "dear-month": offer(rented(9.8, billing="whole"), 0.05, 32, 1),
    "slow-month": offer(rented(0.4, billing="whole"), 0.05, 32, 1),
}


def bad(base, path, value):
    made = copy.deepcopy(OFFERS[base])
    place = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return made


BILL = ["way", "owned", "bill"]
OFFERS.update({
    "bad-utilisation-0": bad("card", ["utilisation"], 0),
    "bad-utilisation-2": bad("card", ["utilisation"], 1.01),
    "bad-price-0": bad("card", BILL + ["device", "amount"], 0),
    "bad-price-negative": bad("card", BILL + ["device", "amount"], -4300),
    "bad-host-negative": bad("card", BILL + ["host", "amount"], -1),
    "bad-rent-0": bad("instance", ["way", "rented", "hour", "amount"], 0),
    "bad-rent-negative": bad("instance", ["way", "rented", "hour", "amount"], -2.29),
    "bad-kwh": bad("card", ["way", "owned", "tariff", "kwh", "amount"], -0.1),
    "bad-pue": bad("card", ["way", "owned", "tariff", "pue"], 0.9),
    "bad-years": bad("card", ["way", "owned", "writeoff", "years"], 0),
    "bad-loss": bad("card", ["way", "owned", "writeoff", "loss"], 1.2),
    "bad-idle": bad("card", ["way", "owned", "power", "idle"], 500),
    "bad-reserved": bad("reserved", ["way", "rented", "billing"], "used"),
    "bad-seconds": bad("card", ["pace", "seconds"], 0),
    "mixed-bill": bad("card", BILL + ["modules", "currency"], "EUR"),
    "euro-rent": bad("instance", ["way", "rented", "hour", "currency"], "EUR"),
})


def exact(value):
    """The binary number that a reader of JSON gets, exactly."""
    return D(float(value)) if isinstance(value, (int, float)) else value


def numbers(tree):
    if isinstance(tree, dict):
        return {key: numbers(value) for key, value in tree.items()}
    return exact(tree) if not isinstance(tree, bool) else tree


def capital(way):
    bill = way["bill"]
    host = bill["host"]["amount"] * bill["host_share"]
    return bill["device"]["amount"] + host + bill["modules"]["amount"] + bill["supply"]["amount"]


def power(base, exponent):
    return D(0) if base == 0 else (base.ln() * exponent).exp()


def resale(way):
    return power(1 - way["writeoff"]["loss"], way["writeoff"]["years"])


def interest(way):
    return way["writeoff"]["interest"] / 12


def capital_month(way):
    price, n, i = capital(way), 12 * way["writeoff"]["years"], interest(way)
    sold = price * resale(way)
    if i == 0:
        return (price - sold) / n
    # The equal payment whose present value is the price less the present value of what it is sold for.
    discount = power(1 + i, -n)
    return (price - sold * discount) * i / (1 - discount)


def kwh(way, watts):
    return watts / 1000 * way["tariff"]["pue"] * way["tariff"]["kwh"]["amount"]


def watts(way):
    return (way["power"]["busy"], way["power"]["idle"]) if way["power"] else (D(0), D(0))


def running(way):
    return way["hosting"]["amount"] + HOURS * kwh(way, watts(way)[1])


def speed(offer):
    rent = offer["way"].get("rented")
    stretch = D(1)
    if rent and rent["interruptions"]:
        i = rent["interruptions"]
        often, write, every = i["often"], i["checkpoint"], i["every"]
        if often > 0 and every is None:
            every = (2 * write / often).sqrt()
        stretch = D(1) + (write / every if every else 0)
        stretch += often * (every / 2 + i["restart"]) if often > 0 else 0
    return 3600 * offer["pace"]["units"] / (offer["pace"]["seconds"] * stretch)


def capacity(offer):
    return HOURS * offer["utilisation"] * speed(offer)


def machines(offer, volume):
    least = 1 if "owned" in offer["way"] or volume > 0 else 0
    return max(D(least), (volume / capacity(offer)).to_integral_value("ROUND_CEILING"))


def month(offer, volume, count=None):
    count = machines(offer, volume) if count is None else count
    hours = volume / speed(offer)
    if "owned" in offer["way"]:
        way = offer["way"]["owned"]
        busy, idle = watts(way)
        return count * (capital_month(way) + running(way)) + hours * kwh(way, busy - idle)
    rent = offer["way"]["rented"]
    hour = rent["hour"]["amount"] * rent["share"]
    return count * HOURS * hour if rent["billing"] == "whole" else hours * hour


def unit(offer):
    full = capacity(offer)
    return month(offer, full, D(1)) / full


def break_even_volume(a, b):
    """Bisection between the steps of whole machines."""
    volume, ca, cb, na, nb = D(0), capacity(a), capacity(b), 1, 1
    for _ in range(10000):
        end = min(na * ca, nb * cb)
        gap = lambda v: month(b, v, D(nb)) - month(a, v, D(na))
        if gap(volume) <= 0:
            return volume
        if gap(end) <= 0:
            low, high = volume, end
            for _ in range(170):
                middle = (low + high) / 2
                low, high = (low, middle) if gap(middle) <= 0 else (middle, high)
            return high
        na, nb, volume = na + (na * ca <= end), nb + (nb * cb <= end), end
    return NEVER


def break_even_month(a, b, volume):
    way, count = b["way"]["owned"], machines(b, volume)
    busy, idle = watts(way)
    own = count * running(way) + volume / speed(b) * kwh(way, busy - idle)
    saving, price, i = month(a, volume) - own, capital(way) * count, interest(way)
    if saving <= 0 or (i > 0 and saving / i <= price):
        return NEVER
    worth = lambda n: saving * n if i == 0 else saving * (1 - power(1 + i, -n)) / i
    low, high = D(0), D(1)
    while worth(high) < price:
        high *= 2
    for _ in range(170):
        middle = (low + high) / 2
        low, high = (low, middle) if worth(middle) >= price else (middle, high)
    return high


def flip_price(a, b):
    """Bisection over prices."""
    target, offer = unit(a), copy.deepcopy(b)
    way = offer["way"]
    money = way["owned"]["bill"]["device"] if "owned" in way else way["rented"]["hour"]
    low, high = D(-10) ** 9, D(10) ** 9
    for _ in range(190):
        money["amount"] = (low + high) / 2
        low, high = (money["amount"], high) if unit(offer) < target else (low, money["amount"])
    return high


def answer(a, b, volume, years, question):
    word, side = (question, None) if isinstance(question, str) else list(question.items())[0]
    one = {"a": a, "b": b, None: b}[side]
    way = one["way"].get("owned")
    price = lambda: capital(way) if way else one["way"]["rented"]["hour"]["amount"] * one["way"]["rented"]["share"]
    return {
        "capital": lambda: capital(way),
        "resale": lambda: resale(way),
        "capital_month": lambda: capital_month(way),
        "owned_hour": lambda: (capital_month(way) + running(way)) / HOURS
        + one["utilisation"] * kwh(way, watts(way)[0] - watts(way)[1]),
        "busy_hour": lambda: unit(one) * speed(one),
        "unit": lambda: unit(one),
        "month": lambda: month(one, volume),
        "machines": lambda: machines(one, volume),
        "total": lambda: month(one, volume) * 12 * years,
        "per_gb": lambda: price() / one["memory"]["gb"],
        "per_gb_s": lambda: price() / one["memory"]["gb_s"],
        "break_even_volume": lambda: break_even_volume(a, b),
        "break_even_month": lambda: break_even_month(a, b, volume),
        "speed_up": lambda: speed(b) / speed(a),
        "price_ratio": lambda: unit(b) * speed(b) / (unit(a) * speed(a)),
        "worth": lambda: unit(a) / unit(b),
        "flip_price": lambda: flip_price(a, b),
    }[word]()


def moved(a, b, volume, swing, value):
    factor, value = swing["factor"], exact(value)
    if factor == "volume":
        return a, b, value
    sides = {"a": copy.deepcopy(a), "b": copy.deepcopy(b)}
    for side, one in sides.items():
        if swing.get("side") not in (None, side):
            continue
        way, rent = one["way"].get("owned"), one["way"].get("rented")
        if factor == "seconds":
            one["pace"]["seconds"] = value
        elif factor == "utilisation":
            one["utilisation"] = value
        elif factor == "price":
            (way["bill"]["device"] if way else rent["hour"])["amount"] = value
        elif way and factor in ("host", "modules"):
            way["bill"][factor]["amount"] = value
        elif way and factor == "hosting":
            way["hosting"]["amount"] = value
        elif way and factor in ("kwh", "pue"):
            way["tariff"][factor] = usd(value) if factor == "kwh" else value
        elif way and factor in ("years", "loss", "interest"):
            way["writeoff"][factor] = value
        elif way and factor == "busy" and way["power"]:
            way["power"]["busy"] = value
    return sides["a"], sides["b"], volume


def spread(a, b, volume, years, question, swings):
    found = [answer(a, b, volume, years, question)]
    for corner in product(["low", "high"], repeat=len(swings)):
        at = (a, b, volume)
        for swing, end in zip(swings, corner):
            at = moved(*at, swing, swing[end])
        found.append(answer(*at, years, question))
    return [min(found), found[0], max(found)]


def tornado(a, b, volume, years, question, swings):
    ends = lambda swing: [answer(*moved(a, b, volume, swing, swing[end]), years, question) for end in ("low", "high")]
    bars = [(swing["factor"], *ends(swing)) for swing in swings]
    wide = lambda bar: D(0) if bar[1] == bar[2] else abs(bar[2] - bar[1])
    return sorted(bars, key=lambda bar: -wide(bar))


def swing(factor, side, low, high):
    return {"factor": factor, "side": side, "low": low, "high": high}


MEASURED = [swing("seconds", "a", 0.052, 0.059), swing("seconds", "b", 0.0039, 0.0043)]
PRICES = [swing("price", "b", 3050, 4300), swing("modules", "a", 12000, 26000)]
ALL = MEASURED + PRICES + [swing("kwh", None, 0.1, 0.35), swing("years", None, 3, 6), swing("utilisation", None, 0.2, 0.9),
                           swing("pue", None, 1.1, 1.6), swing("busy", "b", 300, 575)]
B = lambda word: {word: "b"}
A = lambda word: {word: "a"}

# Question, offers, units a month; then what else differs.
QUESTIONS = [
    (B("capital"), "instance", "card", 0), (B("capital"), "instance", "processor", 0),
    (B("resale"), "instance", "card", 0), (B("resale"), "instance", "card-straight", 0),
    (B("resale"), "instance", "card-kept", 0),
    (B("capital_month"), "instance", "card", 0), (B("capital_month"), "instance", "card-straight", 0),
    (B("capital_month"), "instance", "card-kept", 0), (B("capital_month"), "instance", "card-loan", 0),
    (B("owned_hour"), "instance", "card", 0), (B("owned_hour"), "instance", "card-dark", 0),
    (B("owned_hour"), "instance", "card-datasheet", 0), (B("owned_hour"), "instance", "accelerator", 0),
    (A("busy_hour"), "spot", "card", 0), (A("busy_hour"), "spot-best", "card", 0),
    (A("busy_hour"), "spot-calm", "card", 0), (B("busy_hour"), "instance", "reserved", 0),
    (A("unit"), "instance", "card", 0), (A("unit"), "instance-half", "card", 0),
    (A("unit"), "instance-month", "card", 0), (B("unit"), "instance", "card", 0), (B("unit"), "instance", "card-full", 0),
    (B("unit"), "instance", "desktop", 0), (B("unit"), "instance", "processor", 0),
    (A("unit"), "spot", "card", 0), (A("unit"), "spot-best", "card", 0), (A("unit"), "spot-calm", "card", 0),
    (A("month"), "instance", "card", 0), (B("month"), "instance", "card", 0), (A("month"), "reserved", "card", 0),
    (A("month"), "reserved", "card", 1), (B("month"), "instance", "card", 2e10), (B("month"), "instance", "card", 1e18),
    (A("month"), "instance", "card", 1e18), (B("machines"), "instance", "desktop", 5e9),
    (B("machines"), "instance", "card", 1e18), (A("machines"), "instance-month", "card", 0),
    (B("total"), "instance", "card", 3e9), (A("total"), "instance", "card", 3e9), (A("total"), "small-rent", "card", 3e9),
    (B("per_gb"), "instance", "card", 0), (B("per_gb_s"), "instance", "card", 0), (B("per_gb"), "instance", "processor", 0),
    (B("per_gb_s"), "instance", "processor", 0), (A("per_gb"), "instance", "card", 0),
    ("break_even_volume", "instance", "card", 0), ("break_even_volume", "small-rent", "card", 0),
    ("break_even_volume", "processor", "card", 0), ("break_even_volume", "desktop", "accelerator", 0),
    ("break_even_volume", "cheap-rent", "card", 0), ("break_even_volume", "dear-month", "card", 0),
    ("break_even_volume", "slow-month", "accelerator", 0),
    ("break_even_month", "instance", "card", 1e11), ("break_even_month", "instance", "card-straight", 1e11),
    ("break_even_month", "instance", "card", 1), ("break_even_month", "instance", "card-loan", 1e10),
    ("break_even_month", "small-rent", "card-loan", 8e9), ("break_even_month", "reserved", "accelerator", 5e10),
    ("speed_up", "processor", "card", 0), ("speed_up", "spot", "card", 0), ("price_ratio", "processor", "card", 0),
    ("worth", "processor", "card", 0), ("worth", "desktop", "accelerator", 0), ("worth", "small-rent", "instance", 0),
    ("flip_price", "processor", "card", 0), ("flip_price", "instance", "card", 0), ("flip_price", "cheap-rent", "card", 0),
    ("flip_price", "processor", "instance", 0), ("flip_price", "card", "reserved", 0),
]
SPREADS = [
    (B("unit"), "processor", "card", 0, MEASURED[1:] + PRICES[:1]), ("worth", "processor", "card", 0, MEASURED + PRICES),
    ("break_even_volume", "processor", "card", 0, MEASURED + PRICES),
    ("break_even_volume", "small-rent", "card", 0, [swing("price", "a", 0.0005, 0.3968)]),
    ("break_even_month", "instance", "card", 1e11, [swing("price", "a", 2.29, 4.29), swing("volume", None, 5e10, 2e11)]),
    ("flip_price", "processor", "card", 0, MEASURED + [swing("kwh", None, 0.1, 0.35)]),
    (B("month"), "instance", "card", 3e9, [swing("volume", None, 0, 1e10)]),
]
TORNADOES = [("worth", "processor", "card", 0, ALL), (B("unit"), "processor", "card", 0, ALL),
             ("break_even_volume", "instance", "card", 0, [swing("price", "a", 0.0001, 4.29), swing("price", "b", 3050, 4300)])]
REFUSALS = [
    (B("unit"), "instance", "bad-utilisation-0", 0, "0 is no utilisation"),
    (B("unit"), "instance", "bad-utilisation-2", 0, "1.01 is no utilisation"),
    (B("capital"), "instance", "bad-price-0", 0, "0 is no price of a device"),
    (B("unit"), "instance", "bad-price-negative", 0, "-4300 is no price of a device"),
    (B("capital"), "instance", "bad-host-negative", 0, "-1 is no price of a host"),
    (A("unit"), "bad-rent-0", "card", 0, "0 is no price of an hour"),
    (A("unit"), "bad-rent-negative", "card", 0, "-2.29 is no price of an hour"),
    (B("owned_hour"), "instance", "bad-kwh", 0, "-0.1 is no price of a kWh"),
    (B("unit"), "instance", "bad-pue", 0, "0.9 is no PUE"),
    (B("unit"), "instance", "bad-years", 0, "0 is no time of use in years"),
    (B("unit"), "instance", "bad-loss", 0, "1.2 is no yearly loss of value"),
    (B("unit"), "instance", "bad-idle", 0, "idle (500 W)"),
    (A("unit"), "bad-reserved", "card", 0, "paid whether used or not"),
    (B("unit"), "instance", "bad-seconds", 0, "0 is no time of an execution"),
    (B("capital"), "instance", "mixed-bill", 0, "USD and EUR"),
    ("worth", "euro-rent", "card", 0, "EUR and USD"),
    ("break_even_volume", "euro-rent", "card", 0, "EUR and USD"),
    (B("month"), "instance", "card", -1, "-1 is no volume"),
    ("break_even_month", "card", "instance", 1e9, "what B costs to buy"),
    (B("per_gb"), "card", "reserved", 0, "its GB and GB/s"),
]


def shown(number):
    return None if number == NEVER else float(number)


def vector(question, a, b, volume, swings=(), years=3):
    made = {"question": question, "a": a, "b": b, "volume": volume, "years": years}
    return {**made, "swings": list(swings)} if swings else made


def main():
    vectors = []
    for question, a, b, volume in QUESTIONS:
        one = [numbers(OFFERS[a]), numbers(OFFERS[b]), exact(volume), D(3)]
        vectors.append({**vector(question, a, b, volume), "value": shown(answer(*one, question))})
    for rows, act, key in [(SPREADS, spread, "spread"), (TORNADOES, tornado, "tornado")]:
        for question, a, b, volume, swings in rows:
            got = act(numbers(OFFERS[a]), numbers(OFFERS[b]), exact(volume), D(3), question, swings)
            want = [shown(x) if not isinstance(x, tuple) else [x[0], shown(x[1]), shown(x[2])] for x in got]
            vectors.append({**vector(question, a, b, volume, swings), key: want})
    for question, a, b, volume, says in REFUSALS:
        vectors.append({**vector(question, a, b, volume), "refuse": says})
    lines = lambda rows: ",\n".join(rows)
    print('{"offers": {')
    print(lines(f"{json.dumps(name)}: {json.dumps(one)}" for name, one in OFFERS.items()))
    print('},\n"vectors": [')
    print(lines(json.dumps(one) for one in vectors))
    print("]}")


main()

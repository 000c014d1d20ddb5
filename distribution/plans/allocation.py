"""Apply a plan to a frozen input: income in, every fen out to a line, with the way there.

Owns the order of the work and the sums that must close. Pure: no database, no clock, no network. The
arithmetic of each step stands in `primitives`.
"""

from fractions import Fraction

from distribution.money import yuan
from distribution.plans.checks import check_plan
from distribution.plans.document import Plan
from distribution.plans.input_checks import check_input, unusual_figures
from distribution.plans.primitives.book import Book, Payment, prefix_of
from distribution.types import Allocation, AllocationLine, PayeeKind, PlanInput, PurseTotal
from store.periods import Period
from store.problem import Problem, ProblemsError

KEPT_IN_PURSE = ("carry_over", "works")
"""The rests of purses that carry their balance into the next period."""
_PARENT_LENGTHS = {"township": 9, "county": 6}
_ONCE_A_PERIOD = frozenset(
    {"posts", "enrolled_amount", "class_table", "award", "spend", "debt_service", "fixed_first", "floor"}
)
"""The kinds of steps that give fixed amounts per period: late money of the period does not pay them again."""


def allocate(plan: Plan, inputs: PlanInput) -> Allocation:
    """Distribute the input's received money as the plan says.

    The same plan and input give the same result on every machine. `input_hash` is left empty: who
    freezes the input sets it.

    Raises ProblemsError with the place in the plan and the arithmetic when the plan cannot be satisfied.
    """
    problems = [*check_plan(plan), *check_input(inputs)]
    if problems:
        raise ProblemsError(problems)
    book = Book(plan, inputs, Period.parse(inputs.period))
    for text in unusual_figures(inputs):
        book.warn(text)
    _carry_in(book)
    for index, step in enumerate(plan.steps):
        repeated = inputs.top_up and step.kind in _ONCE_A_PERIOD
        if step.in_force(book.period) and step.name not in book.skipped and not repeated:
            book.step_index = index
            step.apply(book)
    _give_rests(book)
    for check in book.after:
        check()
    return _close(book)


def _carry_in(book: Book) -> None:
    """Put the opening balances of purses that keep their money back; reserves and advances stay apart."""
    carrying = {purse.name for purse in book.plan.purses if purse.rest in KEPT_IN_PURSE}
    apart = {purse.name for purse in book.plan.purses if purse.rest == "reserve"}
    apart |= {step.name for step in book.plan.steps}
    apart |= {getattr(step, "advance", "") for step in book.plan.steps}
    for entry in book.inputs.opening:
        if entry.purse in carrying:
            book.open_with(entry)
        elif entry.purse not in apart and entry.amount_fen:
            raise ProblemsError(
                [
                    Problem(
                        f"opening.{entry.purse}",
                        f"期初余额 {yuan(entry.amount_fen)} 元没有去处：方案中没有结转的钱袋“{entry.purse}”",
                        '在方案中给它写 rest = "carry_over"，或从输入中去掉',
                    )
                ]
            )


def _give_rests(book: Book) -> None:
    """Give what remains in each purse to whom the plan says; refuse where it says nothing."""
    for number, purse in enumerate(book.plan.purses):
        for division in book.divisions_with(purse.name):
            amount = book.holding(purse.name, division).balance_fen
            if purse.rest is None:
                raise ProblemsError(
                    [
                        Problem(
                            book.plan.place("purse", number),
                            f"钱袋“{purse.label}”还剩 {yuan(amount)} 元，没有人可以领",
                            "写一步把它发出去，或写 rest 说明余额归谁",
                        )
                    ]
                )
            kind, payee = _owner(purse.rest, purse.name, division)
            trail = book.way_to(purse.name, division)
            note = "结转下期" if kind is PayeeKind.PURSE else ""
            book.pay(
                [
                    Payment(
                        purse.name,
                        division,
                        kind,
                        payee,
                        amount,
                        1,
                        trail,
                        note,
                        purse.rest,
                        village_code=division,
                    )
                ]
            )


def _owner(rest: str, purse: str, division: str) -> tuple[PayeeKind, str]:
    if rest == "village_collective":
        return PayeeKind.VILLAGE_COLLECTIVE, division
    if rest in _PARENT_LENGTHS:
        keep = min(_PARENT_LENGTHS[rest], len(prefix_of(division)))
        return PayeeKind.DIVISION, division[:keep].ljust(len(division), "0")
    if rest == "reserve":
        return PayeeKind.RESERVE, purse
    return PayeeKind.PURSE, purse


def _close(book: Book) -> Allocation:
    """Number the lines, add up, and prove that income - deductions + carried in = lines."""
    _tell_apart(book.payments)
    weights = {weight: Fraction(weight) for weight in {payment.weight for payment in book.payments}}
    lines = tuple(
        AllocationLine(
            number,
            payment.purse,
            payment.payee_kind,
            payment.payee_id,
            payment.amount_fen,
            weights[payment.weight],
            payment.trail,
            payment.note,
            payment.component,
            payment.village_code,
            payment.tie_break,
        )
        for number, payment in enumerate(book.payments, start=1)
    )
    totals: dict[str, int] = {}
    for line in lines:
        totals[line.purse] = totals.get(line.purse, 0) + line.amount_fen
    income = sum(part.amount_fen for part in book.income)
    deducted = sum(item.amount_fen for item in book.deductions)
    distributable = income - deducted + book.carried_in_fen
    if distributable != sum(totals.values()):
        raise AssertionError(
            f"{distributable} fen to distribute, but the lines sum to {sum(totals.values())}"
        )
    _name_unused(book)
    return Allocation(
        village_code=book.inputs.village_code,
        period=book.inputs.period,
        plan_id=book.plan.id,
        plan_version=book.plan.version,
        income=tuple(book.income),
        deductions=tuple(book.deductions),
        distributable_fen=distributable,
        purses=tuple(
            PurseTotal(purse.name, purse.label, totals[purse.name])
            for purse in book.plan.purses
            if purse.name in totals
        ),
        lines=lines,
        warnings=tuple(book.warnings),
        carried_in_fen=book.carried_in_fen,
        receivables=tuple(book.receivables),
        tests=tuple(book.tests),
        approval=book.approval,
        traces=tuple(book.traces_of(lines)),
        plan_title=book.plan.title,
        nettings=tuple(book.nettings),
    )


def _tell_apart(payments: list[Payment]) -> None:
    """Give a second payment to the same payee for the same thing a component of its own."""
    seen: set[tuple[str, ...]] = set()
    for payment in payments:
        component = payment.component or payment.purse
        number, name = 1, component
        payee = (payment.payee_kind, payment.payee_id, payment.village_code)
        while (*payee, name) in seen:
            number += 1
            name = f"{component} {number}"
        seen.add((*payee, name))
        payment.component = name


def _name_unused(book: Book) -> None:
    """Warn about money and costs in the input that no step of the plan looked at."""
    taken = {id(part) for part in book.income}
    outside = [part for part in book.inputs.income if id(part) not in taken]
    if outside:
        total = sum(part.amount_fen for part in outside)
        book.warn(f"到账 {yuan(total)} 元没有纳入分配：{'、'.join(part.source for part in outside)}")
    kinds = {kind for step in book.plan.steps for kind in getattr(step, "costs", ())}
    for item in book.inputs.costs:
        if item.kind not in kinds:
            book.warn(f"成本“{item.kind}” {yuan(item.amount_fen)} 元没有列入扣除（{item.source}）")

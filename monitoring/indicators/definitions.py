"""What each indicator means, as it is printed beside the figures.

Owns the words. The names are those of the national monitoring system; it publishes no formulas, so that the
definitions are ours and stand beside every figure. Source: docs/indicators.md.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Definition:
    """An indicator: its name, its unit, and how it is computed."""

    name: str
    unit: str
    text: str


FAULT_RATE = Definition(
    "故障率",
    "%",
    "设备原因停机台时 ÷（有日照的台时 − 电网、调度、计划检修、不可抗力和无数据的台时），按额定功率加权",
)
ONLINE_RATE = Definition(
    "在线率", "%", "收到数据的台时 ÷ 有日照的台时，按额定功率加权；通信好坏与停机分开计算"
)
COVERAGE = Definition("运维覆盖率", "%", "台账中登记了运维单位的电站数 ÷ 电站总数")
TIMELINESS = Definition(
    "运维及时率",
    "%",
    "在期限内报完工且未被退回的工单数 ÷ 期限在本月的工单数；未到期限且未完工的、已撤销的不计",
)
CAPABILITY = Definition(
    "发电能力",
    "%",
    "本月等效利用小时 ÷（典型年利用小时 × 统计天数 ÷ 全年天数）；不按季节折算，夏季偏高、冬季偏低",
)
FINAL_YIELD = Definition("等效利用小时", "小时", "逆变器累计电量得出的发电量 ÷ 额定功率")
RANK = Definition("排名", "", "等效利用小时在全部有数据的电站中从高到低的名次")
DEFINITIONS = (FAULT_RATE, ONLINE_RATE, COVERAGE, TIMELINESS, CAPABILITY, FINAL_YIELD, RANK)
"""All of them in the order of the columns."""

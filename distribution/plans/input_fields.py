"""What every field of a plan input means: the descriptions of its published JSON Schema.

Owns the words only. The records stand in `distribution.types`, their reading in `inputs`.
"""

from collections.abc import Mapping

INPUT_FIELDS: Mapping[str, Mapping[str, str]] = {
    "PlanInput": {
        "village_code": "本次分配的区划代码，12 位；统筹时写乡或县的代码 · 12-digit code of the run",
        "period": "期间：2026-10、2026-Q4、2026-H2 或 2026 · calendar period of the run",
        "income": "已经到账、可以分的钱，一笔一条 · money received, one entry per receipt",
        "receivables": "应收未到的钱，只列示，不分 · accrued but not received; shown, never distributed",
        "costs": "成本凭证，一张一条 · vouchers of costs",
        "quantities": "步骤里引用的数量，如土地亩数 {land_mu: 6.5} · named quantities that steps refer to",
        "stations": "收入背后的电站和各村份额 · stations behind the income, with shares",
        "divisions": "统筹时的下级区划和它们的权重 · divisions below, with named weights, for pooling",
        "households": "农户（只有内部编号，没有个人信息） · households under opaque ids",
        "posts": "公益岗位，一岗一条 · public-welfare posts",
        "spendings": "计划的逐笔支出：工程、劳务、救助 · planned payments one by one",
        "opening": "期初余额：结转的钱袋、储备金、未还的垫付款 · balances when the period opens",
        "year_to_date": "本年本期以前已记的数 · what the year has booked before this period",
        "received_until": "到账截止日（含）；不写就是期间最后一天 · last day of receipt that counts",
        "recoverables": "更正后查出多发、还没有收回的款，一户一条 · what was overpaid and is owed",
        "top_up": "补发：本期已经分过，这次只分迟到的钱 · late money of a distributed period",
    },
    "Recoverable": {
        "household_id": "农户编号 · the household",
        "amount_fen": "还欠的金额，整数分 · amount still owed [fen]",
    },
    "IncomePart": {
        "component": "收入种类：electricity 电费、subsidy 国家补贴、local_subsidy 地方补贴、"
        "asset_gain 资产收益、advance 垫付款 · what kind of revenue",
        "amount_fen": "金额，整数分，不为负 · amount [fen]",
        "received_on": "到账日，2026-10-20 · day of receipt",
        "source": "回单或凭证号，印在说明里 · the receipt, printed in the explanation",
        "station_id": "哪座电站的收入；联村份额和按电站计入时必须写 · station that earned it",
    },
    "Receivable": {
        "component": "收入种类，同 income · what kind of revenue",
        "amount_fen": "应收未到的金额，整数分 · amount still owed [fen]",
        "month": "属于哪个月，2026-09；拖欠月数由它算起 · month it was earned in",
        "source": "结算单号 · the settlement statement",
        "station_id": "哪座电站 · station",
    },
    "CostItem": {
        "kind": "成本种类，与步骤里的 costs 对应，如 maintenance · kind, as named in `costs` of a step",
        "amount_fen": "凭证金额，整数分 · amount [fen]",
        "source": "发票或凭证号 · the voucher",
    },
    "StationInput": {
        "id": "电站编号，与 income 的 station_id 对应 · id of the station",
        "rated_power_w": "装机容量，瓦（300 千瓦写 300000） · rated power [W]",
        "shares": "各村份额；只属于一个村的也写一条 · who owns which part",
        "exported_energy_wh": "本期上网电量，瓦时；不写就不核对小时数 · exported energy [Wh]",
        "subsidy_list_status": "补贴目录状态，只列示 · status in the subsidy list; shown only",
    },
    "StationShare": {
        "village_code": "村的 12 位代码；一个村可以有几条 · the village",
        "weight": "份额的数：千瓦、出资或份数 · number of kW, capital or shares",
    },
    "DivisionInput": {
        "code": "下级区划的 12 位代码 · 12-digit code",
        "name": "名称，印在说明里 · name",
        "measures": "统筹权重，如 {kw: 200} · named weights",
    },
    "HouseholdInput": {
        "id": "户的内部编号，不含姓名和证件号 · opaque id",
        "village_code": "所在村的 12 位代码 · its village",
        "persons": "人数，不写就是 1 · number of members",
        "classes": "类别和日期 · dated classes",
        "enrolments": "参加哪一项、份额或定额 · dated parts in components",
        "measures": "量：work_points 工分、points 积分、stars 星级、attendance 出勤天数、kw · named figures",
        "flags": "成立的事实，如 reviewed_2026、whole_household_away · facts that hold",
        "support": "在别处享受的帮扶，如 central_station · support received elsewhere",
        "valid_from": "在册首日（含） · first day in the village",
        "valid_to": "离开日（不含） · day it left (exclusive)",
    },
    "ClassInput": {
        "name": "类别名称，与方案的 [[class]] 一致 · name of the class",
        "persons": "户内属于这一类的人数；不写就是全户 · members of the class; all when left out",
        "valid_from": "首日（含） · first day",
        "valid_to": "止日（不含） · end (exclusive)",
        "source": "依据的记录 · the record behind it",
    },
    "EnrolmentInput": {
        "component": "参加的项目，与步骤的 enrolment 对应 · component, as named by a step",
        "weight": "份额，不写就是 1 · weight of the part",
        "amount_fen": "定额，整数分，逐户定额（enrolled_amount）用 · fixed amount [fen]",
        "valid_from": "首日（含） · first day",
        "valid_to": "止日（不含） · end (exclusive)",
        "source": "依据的文件 · the document behind it",
    },
    "PostInput": {
        "id": "岗位编号 · id of the post",
        "household_id": "上岗的户；没有对应农户写空 · household that holds it, or empty",
        "kind": "岗位种类，与步骤的 rates、kinds 对应 · kind of post",
        "rate_fen": "标准，分/单位；方案写了 rates 的以方案为准 · rate [fen per unit]",
        "units": "出勤的月数、天数或小时数 · units served",
        "rate_unit": "计酬单位：month、day、hour、quarter、piece，与方案一致 · unit of the rate",
        "coefficient": "考核系数，不写就是 1 · performance",
        "headcount": "人数，不写就是 1 · number of people",
        "evidence": "考勤或考核记录；没有就是空 · attendance record, empty where there is none",
        "village_code": "没有农户的岗位由哪个村发 · village that pays a post without a household",
    },
    "SpendingInput": {
        "id": "支出编号 · id of the spending",
        "purse": "从哪个钱袋付 · purse that pays",
        "use": "用途，负面清单按它查 · what it is for",
        "recipient_kind": "收款方：household、person、village_collective、supplier … · kind of recipient",
        "recipient_id": "收款方编号 · id of the recipient",
        "amount_fen": "金额，整数分 · amount [fen]",
        "evidence": "凭据；没有就是空 · evidence, empty where there is none",
        "village_code": "由哪个村的钱付（统筹时） · village whose money pays",
    },
    "PurseBalance": {
        "purse": "钱袋名、储备步骤的 name，或垫付款的 advance 名 · purse, reserve or advance by name",
        "amount_fen": "期初余额，整数分 · balance [fen]",
        "since": "里面最早的钱是哪个月的，2026-06 · month of its oldest money",
        "division_code": "统筹时属于哪个村或乡 · whose money it is, in a pooled run",
    },
    "YearToDate": {
        "name": "income、收入种类、扣除步骤的 name 或钱袋名 · income, component, deduction or purse",
        "amount_fen": "本年本期以前已记的金额，整数分 · amount booked earlier in the year [fen]",
        "household_id": "只算这一户的；不写就是全部 · of one household only",
        "division_code": "统筹时只算这一个村或乡的；不写就是全部 · of one division only",
    },
}
"""The meaning of each field by record and name: Chinese first, then one English phrase."""

"""The five books (五本账): 户卡, 村册, 乡簿, 县档, 市级汇总.

Owns what stands in them. People come from the registry, every fen from the ledger; the books of all levels
agree, because each adds up the same postings in its own way.
"""

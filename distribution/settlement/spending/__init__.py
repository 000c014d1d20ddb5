"""What villages spend: deductible costs and payments out of their own purses, with vouchers."""

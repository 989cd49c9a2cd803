"""What is released, and what it is made of: archives that anybody can build again bit by bit, locks with hashes,
bills of materials, and known vulnerabilities.
"""

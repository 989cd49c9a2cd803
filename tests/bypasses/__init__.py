"""The corpus of bypasses: ways by which an unsafe message could get out, by accident or by a careless workaround.

Each way works without the guard, and gets nowhere with it, or stands in SECURITY.md under "What is not stopped".
"""
